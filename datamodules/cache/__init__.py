"""Caches of decoded pictures and of what is known about files."""

"""Figures of results, drawn by matplotlib and written as PNG."""

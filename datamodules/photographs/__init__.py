"""Photographs without labels, to be classified."""

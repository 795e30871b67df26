"""Data in object storage."""

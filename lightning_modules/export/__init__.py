"""A trained classifier as a file for other programs."""

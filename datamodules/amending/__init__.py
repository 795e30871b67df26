"""Corrections by the user: images to leave out, other labels."""

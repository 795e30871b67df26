"""The page of an evaluation: one file, to be read offline."""

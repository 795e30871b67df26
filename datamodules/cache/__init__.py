"""What is kept, so that it needn't be computed again."""

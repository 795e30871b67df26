"""Statistics of the answers to the pictures of an evaluation."""

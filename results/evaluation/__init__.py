"""What the answers to the pictures of an evaluation say."""

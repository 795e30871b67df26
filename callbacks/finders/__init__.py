"""Searches that run instead of a training: for a learning rate and for a batch size."""

"""Saving runs: whole checkpoints at moments from which a run continues exactly."""

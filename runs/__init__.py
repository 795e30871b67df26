"""A run on disk: its folder, config, checkpoints and scores."""

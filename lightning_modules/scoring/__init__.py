"""Scores of predictions, exact on any number of devices."""

"""Dividing a data set in training, validation and test images, or in folds."""

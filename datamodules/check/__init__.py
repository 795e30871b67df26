"""Looks for problems of a data set: ``python train.py check``."""

from datamodules.check.check_data import check_data

__all__ = ["check_data"]

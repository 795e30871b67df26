"""Whether a data set is sound: ``python train.py check``."""

from datamodules.check.check_data import check_data

__all__ = ["check_data"]

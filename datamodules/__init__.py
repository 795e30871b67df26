"""From bytes on disk to uint8 batches: data sets, splits, Albumentations pipelines and samplers."""

import os

# Both are read while the libraries are imported, so they have to be set before anything below is.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # else every process asks the package index for a newer release
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(100_000_000))  # a 31 kB PNG can unpack to 768 MB

from datamodules.color_jitter import ColorJitter
from datamodules.image_data_module import ImageDataModule
from datamodules.image_folder import ImageFolderDataModule
from datamodules.random_relative_crop import RandomRelativeCrop
from datamodules.stanford_cars import StanfordCarsDataModule
from datamodules.streaming import StreamingDataModule
from datamodules.toy_cars import ToyCarsDataModule

__all__ = [
    "ColorJitter",
    "ImageDataModule",
    "ImageFolderDataModule",
    "RandomRelativeCrop",
    "StanfordCarsDataModule",
    "StreamingDataModule",
    "ToyCarsDataModule",
]

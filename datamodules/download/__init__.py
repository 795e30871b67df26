"""Fetching Stanford Cars."""

from datamodules.download.stanford_cars import DEFAULT_SOURCE, download_stanford_cars

__all__ = ["DEFAULT_SOURCE", "download_stanford_cars"]

"""Photographs without labels, to be classified."""

from pathlib import Path

import numpy as np
from lightning.fabric.utilities.exceptions import MisconfigurationException

from datamodules.image_reader import find_images
from datamodules.samples import Samples


def list_photographs(folder: str | None) -> Samples:
    """List what ``predict`` is to classify.

    Args:
        folder: ``data.predict_dir``.

    Returns:
        The files, in sorted order.

    Raises:
        MisconfigurationException: If there is no folder, or there are no images in it.
    """
    if folder is None:
        raise MisconfigurationException("predict needs a folder of photographs: set data.predict_dir.")
    if not Path(folder).is_dir():
        raise MisconfigurationException(f"data.predict_dir is {folder}, which is not a folder.")
    files = find_images(folder)
    if not files:
        raise MisconfigurationException(f"There are no images in data.predict_dir, {folder}.")
    return Samples(np.array(files))

"""Whether a full copy of Stanford Cars has the official labels and boxes: copies with wrong ones exist."""

import hashlib
from pathlib import Path

import numpy as np

from datamodules.layouts.layout import Layout, Part
from datamodules.samples import Samples

COUNTS: dict[Part, int] = {"train": 8144, "test": 8041}
# Of the names, classes and boxes in the files with the MD5 sums 7b154abe023e6274e597db035347ff56
# (cars_train_annos.mat) and b0a2b23655a3edd16d84508592a98d10 (cars_test_annos_withlabels.mat, the sum that torchvision
# used to check). A sum over the files would also refuse copies that some program has read and saved again.
_DIGESTS: dict[Part, str] = {
    "train": "4d7f3a522e1b37c32005f6549213d9d688449627f43f8a8626f6195331518d7c",
    "test": "88f3971ee872d12464b597c23794e346206184ae2aad159589dce8050048bb36",
}


def annotation_digest(samples: Samples) -> str:
    """Compute a fingerprint of file names, labels and boxes that doesn't depend on their order.

    Args:
        samples: Labelled samples with boxes.

    Returns:
        SHA-256 as hexadecimal digits.
    """
    assert samples.labels is not None
    assert samples.boxes is not None
    names = np.array([Path(str(file)).name for file in samples.files])
    order = np.argsort(names)
    table = np.column_stack([samples.labels, samples.boxes])[order]
    return hashlib.sha256("\n".join(names[order]).encode() + table.astype("<i8").tobytes()).hexdigest()


def differs_from_official(layout: Layout, part: Part, samples: Samples) -> Path | None:
    """Check whether the annotations of a part claim to be complete, but aren't the official ones.

    Subsets, and annotations without boxes (mirrors have none), can't be told from wrong ones and pass.

    Args:
        layout: What was found on disk, with the official classes.
        part: train or test.
        samples: All samples of the part.

    Returns:
        The file with the other annotations, or None.
    """
    path = (layout.annotations or {}).get(part)
    if path is None or samples.boxes is None or len(samples) != COUNTS.get(part):
        return None
    return None if annotation_digest(samples) == _DIGESTS[part] else path

"""Corrections by the user: other labels, and images to leave out."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from datamodules.amending.corrected_labels import corrected, read_corrections
from datamodules.amending.exclusion import excluded_files, require_classes
from datamodules.layouts import Layout
from datamodules.samples import Samples, with_several_boxes


@dataclass
class Amendments:
    """Corrects labels and leaves images out.

    It comes after every division, which therefore stays as it is.

    Attributes:
        layout: The data set.
        parts: All its samples.
        exclude: ``data.exclude``.
        corrected_labels: ``data.corrected_labels``.
        excluded: The files that are left out.
        labels: Corrected labels by file.
    """

    layout: Layout
    parts: Sequence[Samples]
    exclude: str | None
    corrected_labels: str | None
    excluded: set[str] = field(init=False, default_factory=set)
    labels: dict[str, int] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        files = [file for samples in self.parts for file in samples.files.tolist()]
        if self.corrected_labels:
            names, ambiguous = self.layout.class_names, with_several_boxes(self.parts)
            self.labels = read_corrections(self.corrected_labels, files, self.layout.base, names, ambiguous)
        if self.exclude:
            self.excluded = excluded_files(files, self.layout.base, self.exclude)

    def apply(self, samples: Samples, training: bool) -> Samples:
        """Amend a list of samples.

        Args:
            samples: The samples.
            training: Whether no class may lose all of them.

        Returns:
            Those that are left, with the labels that they should have.

        Raises:
            MisconfigurationException: If a class is left without training images.
        """
        samples = corrected(samples, self.labels)
        if not self.exclude:
            return samples
        kept = np.array([file not in self.excluded for file in samples.files.tolist()], dtype=bool)
        if training and samples.labels is not None:
            require_classes(samples.labels, kept, self.layout.class_names, self.exclude)
        return samples.take(np.flatnonzero(kept))

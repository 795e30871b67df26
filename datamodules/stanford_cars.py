"""Stanford Cars, wherever a copy of it comes from."""

from functools import cached_property
from typing import Any

from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.utilities import rank_zero_warn

from datamodules.download import DEFAULT_SOURCE, download_stanford_cars
from datamodules.image_folder import ImageFolderDataModule
from datamodules.layouts import CAR_NAMES, Layout, Part, in_official_order, recognise_layout
from datamodules.layouts.official_annotations import differs_from_official
from datamodules.samples import Samples


class StanfordCarsDataModule(ImageFolderDataModule):
    """Stanford Cars: 196 makes, models and years (Krause et al., 3D Object Representations, 2013).

    The test part is never seen in training: the validation split comes out of the training part. Besides the layouts
    of ``ImageFolderDataModule`` those of the devkit are recognised, also in the variants that its copies have. Labels
    are positions in the devkit's list of classes, whatever the layout: classes are matched by name.

    Args:
        root: Folder of the data set, or a folder around it.
        download: Fetch the data set if ``root`` doesn't exist or is empty.
        source: Where from: a data set on the Hugging Face hub in Parquet (``OWNER/NAME``), or archives (``.tgz``,
            ``.tar``, ``.zip``) as URLs or local files, several separated by commas.
        **options: Arguments of ``ImageFolderDataModule``.
    """

    def __init__(
        self, root: str = "data/stanford_cars", download: bool = False, source: str = DEFAULT_SOURCE, **options: Any
    ) -> None:
        super().__init__(root=root, **options)
        self.download = download
        self.source = source

    @cached_property
    def layout(self) -> Layout:
        """The data set as it was recognised, with the official classes and, in an evaluation, others."""
        if not self.root.exists():
            raise MisconfigurationException(
                f"data.root is {self.root}, which doesn't exist: give the folder with Stanford Cars, or fetch it there "
                "by --data.download true."
            )
        evaluation = self.index_of is not None
        return in_official_order(recognise_layout(self.folder, evaluation, self.class_folders), evaluation)

    @property
    def class_names(self) -> list[str]:
        """Names in devkit order, which is not the alphabetical one."""
        return CAR_NAMES if self._to_be_fetched() else self.layout.class_names

    def prepare_data(self) -> None:
        """Fetch the data set, if that is asked for and it isn't there."""
        if self._to_be_fetched() and not self.predicting:
            download_stanford_cars(self.root, self.source)
        super().prepare_data()

    def read(self, part: Part) -> Samples:
        """List a part as the layout has it, with a warning if its annotations aren't the official ones.

        Args:
            part: The part.

        Returns:
            Its samples.
        """
        samples = super().read(part)
        path = differs_from_official(self.layout, part, samples)
        if path:
            rank_zero_warn(
                f"{path} has other labels or boxes than the official file: scores won't compare with published ones."
            )
        return samples

    def _has_val_part(self) -> bool:
        return not self._to_be_fetched() and super()._has_val_part()

    def _to_be_fetched(self) -> bool:
        return self.download and not (self.root.is_dir() and any(self.root.iterdir()))

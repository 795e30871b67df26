"""A small set of drawn cars, for trying everything without a download."""

import shutil
import tempfile
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from datamodules.check_range import check_range
from datamodules.layouts import annotation_files
from datamodules.progress import progress
from datamodules.samples import Samples
from datamodules.stanford_cars import StanfordCarsDataModule
from datamodules.toy_drawing import CAR_MODELS, draw_car

_MOST = 100_000  # images of a model
_EDITION = 1  # part of the folder's name; count up when the drawing changes, so that older sets are not taken for new


class ToyCarsDataModule(StanfordCarsDataModule):
    """Eight invented car models, drawn from a seed and read through the code that reads Stanford Cars.

    Two models share each body; wheels, headlights and grille tell them apart, while colour, pose, light and background
    vary. The pictures are written once, in the devkit's layout.

    Args:
        root: Folder for the drawn sets; each combination of the arguments below has a folder of its own in it.
        train_images: Images per model for training and validation.
        test_images: Images per model for the test.
        toy_seed: Seed of the drawings.
        **options: Arguments of ``StanfordCarsDataModule``.
    """

    def __init__(
        self,
        root: str = "data/toy_cars",
        train_images: int = 200,
        test_images: int = 40,
        toy_seed: int = 0,
        **options: Any,
    ) -> None:
        super().__init__(root=root, **options)
        check_range("train_images", train_images, 1, _MOST)
        check_range("test_images", test_images, 1, _MOST)
        check_range("toy_seed", toy_seed, 0)
        self.toy_seed = toy_seed
        self.images = {"train": train_images, "test": test_images}

    @cached_property
    def folder(self) -> Path:
        """The folder of this set."""
        return self.root / f"edition{_EDITION}_seed{self.toy_seed}_{self.images['train']}x{self.images['test']}"

    @cached_property
    def class_names(self) -> list[str]:
        """Names of the invented models."""
        return [model.name for model in CAR_MODELS]

    def prepare_data(self) -> None:
        """Draw the set, unless it is there.

        It is drawn beside its place and moved there when complete, so that an interrupted run leaves nothing that
        could be taken for the whole.
        """
        if self.folder.is_dir():
            return
        self.root.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(dir=self.root, prefix=".drawing_"))
        try:
            (draft / "devkit").mkdir()
            annotation_files.write_class_names(draft, self.class_names)
            for number, part in enumerate(self.images):
                self._draw(draft, part, np.random.default_rng((self.toy_seed, number)))
            draft.chmod(0o755)
            draft.rename(self.folder)
        except OSError:
            if not self.folder.is_dir():  # else another process was faster
                raise
        finally:
            shutil.rmtree(draft, ignore_errors=True)

    def _has_val_part(self) -> bool:
        return False  # nor need the set have been drawn

    def _draw(self, folder: Path, part: str, random: np.random.Generator) -> None:
        labels = np.repeat(np.arange(len(CAR_MODELS)), self.images[part])
        random.shuffle(labels)
        names, boxes = [], []
        (folder / annotation_files.IMAGES[part]).mkdir()
        bar = progress(labels, desc=f"drawing cars for {part}", unit=" images", leave=False)
        for number, label in enumerate(bar, start=1):
            picture, box = draw_car(CAR_MODELS[label], random)
            encoded = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 92])[1]
            names.append(f"{number:05d}.jpg")
            boxes.append(box)
            (folder / annotation_files.IMAGES[part] / names[-1]).write_bytes(encoded.tobytes())
        annotation_files.write_samples(folder, part, Samples(np.array(names), labels, np.array(boxes)))

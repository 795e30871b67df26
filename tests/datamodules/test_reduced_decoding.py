"""JPEGs that are far larger than needed are decoded smaller, and look the same."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import albumentations as A
import cv2
import numpy as np
import pytest
import simplejpeg
from PIL import Image

from datamodules import ImageFolderDataModule
from datamodules.pipelines import compose, default_eval_steps, default_train_steps
from datamodules.reading.image_reader import read_image
from datamodules.reading.needed_pixels import NeededPixels, needed_pixels

# Mean difference in levels of 8 bits from the whole picture shrunk to the same size by averaging: libjpeg keeps low
# frequencies, which differs from averages where a picture is as sharp as its pixels allow.
TOLERANCE = 6.0


def photograph(height: int, width: int) -> np.ndarray[Any, Any]:
    """Draw noise that falls with frequency as in photographs, down to single pixels."""
    random = np.random.default_rng(0)
    image = np.full((height, width, 3), 128, np.float32)
    for octave in range(8):
        coarse = random.normal(0, 5 * 2 ** (octave / 2), (-(-height >> octave), -(-width >> octave), 3))
        image += cv2.resize(coarse.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(image, 0, 255).astype(np.uint8)


def save(path: Path, pixels: np.ndarray[Any, Any], **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), quality=95, colorspace="RGB", **options))
    return path


def test_what_steps_need() -> None:
    assert needed_pixels(compose(default_eval_steps(400))) == NeededPixels(400)
    needed = needed_pixels(compose(default_train_steps(400)))
    assert needed is not None
    assert needed.side == pytest.approx(400 / (0.5 * 0.75) ** 0.5)  # the narrowest of the smallest crops
    mean = needed_pixels(
        compose([A.HorizontalFlip(), A.RandomResizedCrop(size=(90, 60), scale=(0.25, 1), ratio=(1, 2))])
    )
    assert mean is not None
    assert (mean.side, mean.mean) == pytest.approx((0, 90 / (0.25 / 2) ** 0.5))
    for unknown in (A.RandomCrop(64, 64), A.Resize(64, 64, p=0.5), A.GaussianBlur(), A.OneOf([A.Resize(8, 8)])):
        assert needed_pixels(compose([unknown, *default_train_steps(400)])) is None
    assert needed_pixels(compose([A.HorizontalFlip()])) is None


@pytest.mark.parametrize("seed", range(3))
def test_the_smallest_crop_keeps_its_pixels(seed: int) -> None:
    side = 40
    needed = needed_pixels(compose(default_train_steps(side)))
    assert needed is not None
    height, width = np.random.default_rng(seed).integers(200, 1000, 2)
    smaller = needed.shrunk(np.zeros((height, width, 3), np.uint8))
    crop = default_train_steps(side)[0]
    for number in range(50):
        crop.set_random_seed(number)
        left, top, right, bottom = crop.get_params_dependent_on_data({"shape": smaller.shape}, {})["crop_coords"]
        assert min(right - left, bottom - top) >= side - 1  # crops have whole pixels


@pytest.mark.parametrize(("side", "factor"), [(110, 8), (220, 4), (440, 2), (500, 1)])
@pytest.mark.parametrize("subsampling", ["420", "444"])
def test_pictures_look_the_same(tmp_path: Path, side: int, factor: int, subsampling: str) -> None:
    file = save(tmp_path / "a.jpg", photograph(880, 1200), colorsubsampling=subsampling)
    whole, smaller = read_image(file), read_image(file, needed=NeededPixels(side))
    assert smaller.shape[:2] == (880 // factor, 1200 // factor)
    expected = cv2.resize(whole, smaller.shape[1::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(smaller.astype(int) - expected).mean() <= (TOLERANCE if factor > 1 else 0)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_smaller_pictures_are_upright(tmp_path: Path, orientation: int) -> None:
    upright = photograph(400, 600)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(upright).save(tmp_path / "a.jpg", exif=exif, quality=95)
    whole, smaller = read_image(tmp_path / "a.jpg"), read_image(tmp_path / "a.jpg", needed=NeededPixels(90))
    assert smaller.shape[:2] == tuple(length // 4 for length in whole.shape[:2])
    expected = cv2.resize(whole, smaller.shape[1::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(smaller.astype(int) - expected).mean() <= TOLERANCE


def test_boxes_are_cut_out_of_whole_pictures(tmp_path: Path) -> None:
    file = save(tmp_path / "a.jpg", photograph(800, 800))
    box = (10, 20, 710, 620)
    assert np.array_equal(read_image(file, box, NeededPixels(50)), read_image(file, box))


def test_training_reads_smaller_and_evaluation_whole_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, toy_data: Callable[..., Any]
) -> None:
    for part in ("train", "val"):
        for name in ("a", "b"):
            save(tmp_path / part / name / f"{name}{part}.jpg", photograph(300, 400))
    data = ImageFolderDataModule(root=str(tmp_path), image_size=32, num_workers=0, keep_equal_together=False)
    data.setup("fit")
    sizes: dict[str, tuple[int, ...]] = {}
    for split in ("train", "val"):
        dataset = data.datasets[split]
        read = dataset.read

        def note(*given: Any, split: str = split, read: Any = read) -> Any:
            image = read(*given)
            sizes[split] = image.shape[:2]
            return image

        monkeypatch.setattr(dataset, "read", note)
        dataset[0]
    assert sizes == {"train": (75, 100), "val": (300, 400)}  # 32 px of a crop of at least 0.61 of each side
    assert toy_data().train_pipeline is not None


def test_a_damaged_picture_is_refused_as_before(tmp_path: Path) -> None:
    file = save(tmp_path / "a.jpg", photograph(800, 800))
    file.write_bytes(file.read_bytes()[:-5000])
    messages = []
    for needed in (None, NeededPixels(50)):
        with pytest.raises(Exception, match="cut off") as refused:
            read_image(file, needed=needed)
        messages.append(str(refused.value))
    assert messages[0] == messages[1]

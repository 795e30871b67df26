from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.cars_copy import copy_cars
from benchmarks.leaderboard import pixels
from benchmarks.measuring.kept_results import digest_of, keep_result, kept_result
from benchmarks.peers.training import PEERS
from benchmarks.training import RATES, split_lists
from datamodules import StanfordCarsDataModule, ToyCarsDataModule
from datamodules.layouts.recognise import recognise_layout
from tests.support.checkout import CHECKOUT


def test_peers_are_given_the_split_of_the_config(toy_data: Callable[..., ToyCarsDataModule]) -> None:
    root = toy_data().folder
    lists, _ = split_lists(root)
    data = StanfordCarsDataModule(root=str(root), val_fraction=0.1)
    data.setup(None)
    for split, dataset in data.datasets.items():
        assert [path for path, _ in lists[split]] == dataset.samples.files.tolist()
        assert [label for _, label in lists[split]] == data.labels(split).tolist()
    train, val, test = ({path for path, _ in lists[split]} for split in ("train", "val", "test"))
    assert not train & val | train & test | val & test
    assert len(train | val | test) == sum(len(recognise_layout(root).read(part)) for part in ("train", "test"))


@pytest.mark.parametrize("recipe", sorted((CHECKOUT / "benchmarks/peers").glob("*_recipe.py")), ids=str)
@pytest.mark.parametrize("setting", ["image_size", "eval_size", "epochs", "batch_size", "workers", "seed", "rate"])
def test_peers_heed_every_setting(recipe: Path, setting: str) -> None:
    text = recipe.read_text(encoding="utf-8")
    assert f'"{setting}"' in text or f'settings["image_size" if training else "{setting}"]' in text


def test_each_peer_has_rates_and_a_recipe() -> None:
    assert PEERS.keys() == RATES.keys()
    for peer in PEERS.values():
        assert (CHECKOUT / f"benchmarks/peers/{peer.recipe}.py").is_file()


def test_results_of_another_set_up_are_refused(tmp_path: Path) -> None:
    file, given = tmp_path / "rows/a.json", {"seed": 1, "weights": digest_of([Path(__file__)])}
    assert kept_result(file, given) is None
    keep_result(file, given, {"accuracy": 0.5})
    assert kept_result(file, given) == {"accuracy": 0.5}
    for other in ({**given, "seed": 2}, {"seed": 1}, {**given, "options": []}):
        with pytest.raises(SystemExit, match="was measured otherwise: "):
            kept_result(file, other)
    names = [Path(__file__), CHECKOUT / "train.py"]
    assert len({digest_of(names), digest_of(reversed(names)), digest_of(names, whole=False)}) == 3


def test_the_leaderboard_tells_what_each_row_sees() -> None:
    assert pixels("efficientnet_lite0_128px") == pixels("timm") == 1
    assert pixels("efficientnet_lite0_160px") == (160 / 128) ** 2
    assert pixels("efficientnet_lite0_192px") == (4 * 128**2 + 5 * 160**2 + 6 * 192**2) / (15 * 128**2)


@pytest.mark.parametrize("side", [None, 31])
def test_copies_have_some_classes_and_boxes_that_fit(
    toy_data: Callable[..., ToyCarsDataModule], tmp_path: Path, side: int | None
) -> None:
    root = toy_data().folder
    copy_cars(root, tmp_path / "copy", classes=3, side=side, quality=95)
    before, after = recognise_layout(root), recognise_layout(tmp_path / "copy")
    assert after.class_names == before.class_names
    for part in ("train", "test"):
        samples, copied = before.read(part), after.read(part)
        assert samples.labels is not None
        assert copied.labels is not None
        samples = samples.take(np.flatnonzero(samples.labels < 3))
        assert samples.labels is not None
        assert copied.labels.tolist() == samples.labels.tolist()
        assert [Path(file).name for file in copied.files] == [Path(file).name for file in samples.files]
        for index, (file, small_file) in enumerate(zip(samples.files, copied.files, strict=True)):
            picture, small = cv2.imread(str(file)), cv2.imread(str(small_file))
            assert picture is not None
            assert small is not None
            height, width = small.shape[:2]
            assert min(height, width) == (min(picture.shape[:2]) if side is None else side)
            expected = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
            assert np.abs(small.astype(int) - expected).mean() < 6  # JPEG, with half the colours' resolution
            assert samples.boxes is not None
            assert copied.boxes is not None
            scale = np.array([width, height] * 2) / np.array([*picture.shape[1::-1]] * 2)
            assert np.abs(copied.boxes[index] - samples.boxes[index] * scale).max() <= 0.5
    with pytest.raises(FileExistsError):
        copy_cars(root, tmp_path / "copy")

"""Pictures and boxes that occur more than once are recognised, and others told apart."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from datamodules import StanfordCarsDataModule
from datamodules.check.duplicates import shared_boxes
from datamodules.check.inspection import inspect_images
from datamodules.fingerprints import Fingerprint, near_duplicates
from datamodules.reading.image_reader import read_image


def test_the_official_set_has_38_shared_boxes_36_of_them_contradicting(
    official_copy: Callable[..., Path], tmp_path: Path
) -> None:
    data = StanfordCarsDataModule(root=str(official_copy(tmp_path / "official")))
    train, test = data.read("train"), data.read("test")
    assert train.boxes is not None
    assert test.boxes is not None
    boxes = np.concatenate([train.boxes, test.boxes])
    labels = np.concatenate([train.labels, test.labels])
    pairs = shared_boxes(boxes, np.zeros((len(boxes), 2), np.int64))
    assert len(pairs) == 38
    assert sum(labels[first] != labels[second] for first, second in pairs) == 36
    assert sum(first < len(train) <= second for first, second in pairs) == 19


def test_a_box_that_many_pictures_have_is_no_evidence() -> None:
    sizes = np.tile([200, 100], (100_000, 1))
    constant = np.tile([10, 10, 90, 90], (100_000, 1))
    assert shared_boxes(constant, sizes) == []
    twins = constant + np.repeat(np.arange(50_000), 2)[:, np.newaxis]
    assert shared_boxes(twins, sizes) == [(first, first + 1) for first in range(0, 100_000, 2)]
    assert len(shared_boxes(constant[:5], sizes[:5])) == 10


def test_near_duplicates_equal_a_comparison_of_all_with_all() -> None:
    random = np.random.default_rng(0)
    prints = random.integers(0, 2**64, 300, dtype=np.uint64)
    prints[100:200] = prints[:100]
    for index in range(100, 200):
        for bit in random.choice(64, int(random.integers(0, 6)), replace=False):
            prints[index] ^= np.uint64(1) << np.uint64(bit)
    flat = np.zeros((8, 8, 3), np.uint8)
    found = [Fingerprint(bytes([n % 256, n // 256]), int(p), flat) for n, p in enumerate(prints)]
    expected = [
        (one, two)
        for one in range(300)
        for two in range(one + 1, 300)
        if bin(int(prints[one]) ^ int(prints[two])).count("1") <= 3
    ]
    assert near_duplicates(found) == expected
    assert 30 < len(expected) < 90


def test_photographs_are_told_apart_and_copies_recognised(stanford_cars_root: Path, tmp_path: Path) -> None:
    files = sorted((stanford_cars_root / "cars_train").glob("*.jpg"))[:400]
    copies = []
    for number, file in enumerate(files[:60]):
        image = read_image(file)[..., ::-1]
        copies.append(str(tmp_path / f"{number}.webp"))
        small = cv2.resize(image, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA)
        cv2.imwrite(copies[-1], small, [cv2.IMWRITE_WEBP_QUALITY, 70])
    found = inspect_images(np.array([*map(str, files), *copies]), 0)
    pairs = {pair for pair in near_duplicates([one.fingerprint for one in found]) if pair[1] >= 400}
    expected = {(number, 400 + number) for number in range(60)}
    assert len(pairs & expected) >= 57
    assert pairs <= expected

"""How samples are divided: as scikit-learn does, unless something belongs together or a class is small."""

import numpy as np
import pytest
from lightning.fabric.utilities.exceptions import MisconfigurationException
from sklearn.model_selection import train_test_split

from datamodules.dividing.division import divide
from datamodules.samples import Samples


def samples(labels: list[int] | np.ndarray, groups: list[int] | None = None) -> Samples:
    files = np.array([f"{number}.jpg" for number in range(len(labels))])
    return Samples(files, np.array(labels), None, None if groups is None else np.array(groups))


def numbers(part: Samples) -> list[int]:
    return [int(str(file).removesuffix(".jpg")) for file in part.files]


@pytest.mark.parametrize(("classes", "each", "fraction"), [(2, 12, 0.2), (8, 40, 0.1), (196, 24, 0.1), (3, 7, 0.34)])
def test_without_anything_to_keep_together_it_is_scikit_learns(classes: int, each: int, fraction: float) -> None:
    labels = np.repeat(np.arange(classes), each)
    for seed in (0, 7):
        first, second = train_test_split(np.arange(len(labels)), test_size=fraction, random_state=seed, stratify=labels)
        division = divide(samples(labels), fraction, seed)
        assert numbers(division.first) == sorted(first)
        assert numbers(division.second) == sorted(second)
        assert not division.notes


@pytest.mark.parametrize("copies", [0.02, 0.3, 1.0])
def test_pairs_are_never_parted_and_the_shares_stay(copies: float) -> None:
    random = np.random.default_rng(0)
    labels = np.repeat(np.arange(10), 40)
    originals = random.choice(400, int(200 * copies), replace=False) // 2 * 2
    pairs = [(int(one), int(one) + 1) for one in np.unique(originals)]
    plain, division = divide(samples(labels), 0.2, 3), divide(samples(labels), 0.2, 3, pairs=pairs)
    second = {*numbers(division.second)}
    assert all((one in second) == (other in second) for one, other in pairs)
    counts = np.bincount(labels[sorted(second)])
    assert counts.min() >= 7
    assert counts.max() <= 9
    assert not division.notes
    changed = second ^ {*numbers(plain.second)}
    parted = sum((one in numbers(plain.second)) != (other in numbers(plain.second)) for one, other in pairs)
    assert len(changed) <= 4 * parted


def test_groups_of_a_table_and_chains_of_pairs_stay_whole() -> None:
    labels = np.tile(np.repeat([0, 1], 5), 12)
    groups = np.repeat(np.arange(12), 10)  # of both classes
    division = divide(samples(labels, groups.tolist()), 0.25, 0)
    parts = {int(group) for group in groups[numbers(division.second)]}
    assert len(parts) == 3
    assert len(division.second) == 30
    chain = [(number, number + 1) for number in range(9)]
    second = {*numbers(divide(samples([0] * 10 + [0] * 30 + [1] * 40), 0.25, 0, pairs=chain).second)}
    assert len(second & {*range(10)}) in (0, 10)


def test_small_classes_are_divided_as_evenly_as_they_can_be_and_said() -> None:
    labels = np.repeat(np.arange(60), 4)
    names = [f"model {number:02d}" for number in range(60)]
    division = divide(samples(labels), 0.1, 0, class_names=names)
    counts = np.bincount(labels[numbers(division.second)], minlength=60)
    assert counts.sum() == 24
    assert counts.max() == 1
    (note,) = division.notes
    absent = [names[label] for label in np.flatnonzero(counts == 0)]
    assert f"none of them of 36 classes {absent[0]!r}, {absent[1]!r}" in note

    division = divide(samples([0] * 20 + [1] + [2] * 2), 0.2, 0, class_names=["many", "one", "two"])
    assert 20 in numbers(division.first)
    assert len(division.second) == 5
    assert "of the class 'one', which has too few" in division.notes[0]
    assert divide(samples(list(range(10))), 0.2, 0).notes
    assert len(divide(samples(list(range(10))), 0.2, 0).second) == 2


@pytest.mark.parametrize(
    ("classes", "groups", "size", "fraction", "expected"),
    [(10, 4, 25, 0.1, 100), (196, 4, 10, 0.1, 780), (10, 2, 50, 0.2, 200), (2, 2, 50, 0.1, 50), (1, 2, 50, 0.1, 50)],
)
def test_groups_larger_than_the_share_of_their_class_stay_whole(
    classes: int, groups: int, size: int, fraction: float, expected: int
) -> None:
    labels, unit = np.repeat(np.arange(classes), groups * size), np.repeat(np.arange(classes * groups), size)
    division = divide(samples(labels, unit.tolist()), fraction, 0)
    counts = np.bincount(unit[numbers(division.second)])
    assert {*counts.tolist()} <= {0, size}
    assert len(division.second) == expected
    assert np.bincount(labels[numbers(division.second)]).max() == size  # no class gives two groups
    assert bool(division.notes) == (classes > 1)
    assert all("too few, or too large groups" in note for note in division.notes)


@pytest.mark.parametrize("seed", range(5))
def test_groups_of_mixed_sizes_bring_as_many_images_as_are_asked_for(seed: int) -> None:
    unit = np.sort(np.random.default_rng(seed).integers(0, 34, 1000))
    labels = np.repeat(np.arange(10), 100)
    division = divide(samples(labels, unit.tolist()), 0.1, seed)
    second = np.isin(np.arange(1000), numbers(division.second))
    assert not {*unit[second].tolist()} & {*unit[~second].tolist()}
    assert 80 <= second.sum() <= 120
    assert len(np.unique(labels[~second])) == 10


@pytest.mark.parametrize("fraction", [0.2, 0.3])
@pytest.mark.parametrize("seed", range(40))
def test_no_class_is_left_without_images_that_train(fraction: float, seed: int) -> None:
    labels, unit = np.array([0] * 2 + [1] * 10 + [2] * 10), np.array([0, 0, 0, *range(1, 20)])
    first = numbers(divide(samples(labels, unit.tolist()), fraction, seed).first)
    assert {*labels[first].tolist()} == {0, 1, 2}
    assert len({0, 1, 2} & {*first}) in (0, 3)


def test_where_all_belongs_together_it_is_divided_nevertheless_and_said() -> None:
    division = divide(samples([0, 1] * 10), 0.2, 0, pairs=[(0, other) for other in range(1, 20)])
    assert len(division.second) == 4
    assert "scores will be too high" in division.notes[0]


@pytest.mark.parametrize("fraction", [0.0, 1.0, -1.0, 5.0, float("nan")])
def test_a_fraction_lies_between_0_and_1(fraction: float) -> None:
    with pytest.raises(MisconfigurationException, match="data.val_fraction is .*: it has to lie between 0 and 1"):
        divide(samples([0, 1] * 10), fraction, 0)
    with pytest.raises(MisconfigurationException, match="of 1 images: two are needed"):
        divide(samples([0]), 0.5, 0)

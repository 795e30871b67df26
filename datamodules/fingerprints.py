"""Recognising the same picture in another size, format or quality."""

import hashlib
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from datamodules.reading.image_reader import Image

_THUMBNAIL = 8
# Of 300 photographs that were scaled by 0.4 to 1.5 and saved again at quality 60, 99 % are within both limits of the
# original; of the 18.7 million pairs of 6,114 car photographs, 13 are, all of them the same photograph.
_MAX_BITS = 3
_MAX_DIFFERENCE = 6.0
_MANY, _MOST_PAIRS = 1_000, 1_000_000  # beyond which pairs say nothing more, and take memory
_BANDS = 4  # a pair that differs in three bits agrees in at least one of four bands


class Fingerprint(NamedTuple):
    """What equal pictures have in common.

    Attributes:
        digest: Hash of the file's content, 16 bytes.
        bits: Perceptual hash, 64 bits; similar pictures differ in few of them.
        thumbnail: Mean colours, uint8 of shape (8, 8, 3).
    """

    digest: bytes
    bits: int
    thumbnail: Image


def fingerprint_of(data: bytes, image: Image) -> Fingerprint:
    """Take the fingerprint of a picture.

    The perceptual hash is that of Zauner (Implementation and Benchmarking of Perceptual Image Hash Functions, 2010):
    the signs of the low frequencies of a small grey copy.

    Args:
        data: Content of its file.
        image: The picture, uint8 of shape (height, width, 3), RGB.

    Returns:
        The fingerprint.
    """
    grey = cv2.resize(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), (32, 32), interpolation=cv2.INTER_AREA)
    frequencies = cv2.dct(grey.astype(np.float32))[:8, :8].ravel()
    bits = int.from_bytes(np.packbits(frequencies > np.median(frequencies)).tobytes(), "big")
    thumbnail = cv2.resize(image, (_THUMBNAIL, _THUMBNAIL), interpolation=cv2.INTER_AREA).astype(np.uint8)
    return Fingerprint(hashlib.sha256(data).digest()[:16], bits, thumbnail)


def exact_duplicates(prints: Sequence[Fingerprint | None]) -> list[tuple[int, int]]:
    """Find files with the same content.

    Args:
        prints: The fingerprints, None of what can't be read.

    Returns:
        Pairs of positions; of very many files with one content, the first with each of the others.
    """
    return [
        pair
        for group in _same_files(prints)
        for pair in (combinations(group, 2) if len(group) <= _MANY else ((group[0], other) for other in group[1:]))
    ]


def near_duplicates(prints: Sequence[Fingerprint | None]) -> list[tuple[int, int]]:
    """Find files that show the same picture in another size, format or quality.

    Args:
        prints: The fingerprints, None of what can't be read.

    Returns:
        Pairs of positions, without those of exactly the same content; of millions, as many as link all that any of
        them links.
    """
    return _near(prints, [index for index, found in enumerate(prints) if found is not None])


def linked(prints: Sequence[Fingerprint | None]) -> list[tuple[int, int]]:
    """Link what shows the same picture, with no more pairs than that takes.

    Args:
        prints: The fingerprints, None of what can't be read.

    Returns:
        Pairs of positions: of files with the same content, the first with each other one; and of those first ones, all
        that are nearly the same.
    """
    groups = _same_files(prints)
    copies = {index for group in groups for index in group[1:]}
    firsts = [index for index, found in enumerate(prints) if found is not None and index not in copies]
    return [(group[0], other) for group in groups for other in group[1:]] + _near(prints, firsts)


def _same_files(prints: Sequence[Fingerprint | None]) -> list[list[int]]:
    groups: dict[bytes, list[int]] = {}
    for index, found in enumerate(prints):
        if found is not None:
            groups.setdefault(found.digest, []).append(index)
    return [group for group in groups.values() if len(group) > 1]


def _near(prints: Sequence[Fingerprint | None], chosen: list[int]) -> list[tuple[int, int]]:
    known = [found for index in chosen if (found := prints[index]) is not None]
    if len(known) < 2:
        return []
    _, contents = np.unique([found.digest for found in known], return_inverse=True)
    bits = np.array([found.bits for found in known], dtype=np.uint64)
    thumbnails = np.stack([found.thumbnail for found in known]).reshape(len(known), -1)
    kept, pairs = _without_crowds(bits, thumbnails)
    place = np.array(chosen, dtype=np.int64)
    new, count = [pairs], 0
    for candidates in _candidates(bits[kept], thumbnails[kept]):
        one, other = kept[candidates].T
        difference = np.abs(thumbnails[one].astype(np.int16) - thumbnails[other]).mean(axis=1)
        near = (difference <= _MAX_DIFFERENCE) & (contents[one] != contents[other])
        new.append(np.sort(np.stack([one[near], other[near]], axis=1), axis=1))
        count += len(new[-1])
        if count > _MOST_PAIRS:
            new, count = [_spanning(np.concatenate(new), len(known))], 0
    pairs = place[np.unique(np.concatenate(new), axis=0)]
    return [(first, second) for first, second in pairs.tolist()]


def _without_crowds(
    bits: npt.NDArray[np.uint64], thumbnails: Image
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Leave one of each thousand pictures without a difference, such as black ones; pair the others with it."""
    rows = np.concatenate([bits.view(np.uint8).reshape(-1, 8), thumbnails], axis=1)
    _, first, group, counts = np.unique(
        rows.view(f"V{rows.shape[1]}").ravel(), return_index=True, return_inverse=True, return_counts=True
    )
    position = np.arange(len(bits))
    spare = (counts > _MANY)[group] & (first[group] != position)
    return position[~spare], np.stack([first[group][spare], position[spare]], axis=1)


def _candidates(bits: npt.NDArray[np.uint64], thumbnails: Image) -> Iterator[npt.NDArray[np.int64]]:
    """Pair what differs in few bits, looking only at what agrees in one band of them, not at all with all.

    The mean colours of two pictures differ by no more than the mean difference of their pixels.
    """
    width = 64 // _BANDS
    mask = np.uint64((1 << width) - 1)
    colours = thumbnails.reshape(len(bits), -1, 3).mean(axis=1)
    brightness = colours.mean(axis=1)
    for band in range(_BANDS):
        keys = (bits >> np.uint64(band * width)) & mask
        order = np.lexsort((brightness, keys))
        keys, light = keys[order], brightness[order]
        first, step = np.arange(len(keys) - 1), 1
        while len(first):  # each with the next one of the same key, the one after that, and so on
            first = first[first + step < len(keys)]
            alike = (keys[first] == keys[first + step]) & (light[first + step] - light[first] <= _MAX_DIFFERENCE)
            first = first[alike]
            one, other = order[first], order[first + step]
            differing = bits[one] ^ bits[other]
            near = np.bitwise_count(differing) <= _MAX_BITS
            near &= np.abs(colours[one] - colours[other]).sum(axis=1) <= 3 * _MAX_DIFFERENCE
            for earlier in range(band):  # in which the pair was met already
                near &= (differing >> np.uint64(earlier * width)) & mask != 0
            yield np.stack([one[near], other[near]], axis=1)
            step += 1


def _spanning(pairs: npt.NDArray[np.int64], size: int) -> npt.NDArray[np.int64]:
    """Link with fewer pairs what these link: the first of each component with each of the others."""
    graph = coo_array((np.ones(len(pairs), dtype=bool), (pairs[:, 0], pairs[:, 1])), shape=(size, size))
    _, component = connected_components(graph, directed=False)
    _, first = np.unique(component, return_index=True)
    others = np.flatnonzero(first[component] != np.arange(size))
    return np.stack([first[component][others], others], axis=1)

"""Recognising the same picture in another size, format or quality."""

import hashlib
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from datamodules.image_reader import Image

_THUMBNAIL = 8
# Of 300 photographs that were scaled by 0.4 to 1.5 and saved again at quality 60, 99 % are within both limits of the
# original; of the 18.7 million pairs of 6,114 car photographs, 12 are, all of them the same photograph.
_MAX_BITS = 3
_MAX_DIFFERENCE = 6.0
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
        Pairs of positions.
    """
    return [pair for group in _same_files(prints) for pair in combinations(group, 2)]


def near_duplicates(prints: Sequence[Fingerprint | None]) -> list[tuple[int, int]]:
    """Find files that show the same picture in another size, format or quality.

    Args:
        prints: The fingerprints, None of what can't be read.

    Returns:
        Pairs of positions, without those of exactly the same content.
    """
    readable = [index for index, found in enumerate(prints) if found is not None]
    return _near(prints, readable)


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
    bits = np.array([found.bits for found in known], dtype=np.uint64)
    pairs = np.unique(np.concatenate([*_candidates(bits)]), axis=0)
    near = [
        (chosen[first], chosen[second])
        for first, second in pairs.tolist()
        if known[first].digest != known[second].digest and _difference(known[first], known[second]) <= _MAX_DIFFERENCE
    ]
    return sorted(near)


def _difference(one: Fingerprint, other: Fingerprint) -> float:
    return float(np.abs(one.thumbnail.astype(np.int16) - other.thumbnail).mean())


def _candidates(bits: npt.NDArray[np.uint64]) -> Iterator[npt.NDArray[np.int64]]:
    """Pair what differs in few bits, looking only at what agrees in one band of them, not at all with all."""
    width = 64 // _BANDS
    for band in range(_BANDS):
        keys = (bits >> np.uint64(band * width)) & np.uint64((1 << width) - 1)
        order = np.argsort(keys, kind="stable")
        keys = keys[order]
        first, step = np.arange(len(keys) - 1), 1
        while len(first):  # each with the next one of the same key, the one after that, and so on
            first = first[first + step < len(keys)]
            first = first[keys[first] == keys[first + step]]
            one, other = order[first], order[first + step]
            near = np.bitwise_count(bits[one] ^ bits[other]) <= _MAX_BITS
            yield np.sort(np.stack([one[near], other[near]], axis=1), axis=1)
            step += 1

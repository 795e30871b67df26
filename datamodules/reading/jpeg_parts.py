"""The parts of a JPEG file (ITU-T T.81, annex B), without what doesn't belong to the picture."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

_START, _END, _SCAN = 0xD8, 0xD9, 0xDA
_TABLES = {0xC4, 0xCC, 0xDB, 0xDD}
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE, _SEQUENTIAL = {0xC2, 0xCA}, {0xC0, 0xC1, 0xC9}
_JFIF = b"\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0"
# Coded data ends at a marker that has its place after a scan; all others are left for the decoder to refuse.
_AFTER_SCAN = re.compile(rb"\xff[\xc0-\xc7\xc9-\xcf\xd8-\xdf\xe0-\xef\xfe]")


class Scan(NamedTuple):
    """One pass over the picture.

    Attributes:
        tables: Segments with tables that stand before it.
        header: Its header segment.
        data: Its coded data.
    """

    tables: bytes
    header: bytes
    data: bytes


@dataclass
class JpegParts:
    """What a decoder needs of a JPEG.

    Attributes:
        head: Segments that say how the whole picture is to be understood: JFIF, EXIF, Adobe, frame.
        frames: Codes of the frame segments; one in a sound picture.
        scans: The passes in the order of the file.
        closed: Whether the file has its end marker.
    """

    head: bytes = b""
    frames: list[int] = field(default_factory=list)
    scans: list[Scan] = field(default_factory=list)
    closed: bool = False

    def file(self, scans: int | None = None) -> bytes:
        """Put a file together.

        Args:
            scans: How many passes it holds, and it is closed; None for what there is.

        Returns:
            The file.
        """
        chosen = self.scans if scans is None else self.scans[:scans]
        body = b"".join(part for scan in chosen for part in scan)
        closed = self.closed or (scans is not None and scans < len(self.scans))
        return b"\xff\xd8" + self.head + body + (b"\xff\xd9" if closed else b"")


def jpeg_parts(data: bytes) -> JpegParts:
    """Take a JPEG apart, and set right what libjpeg only warns about.

    Bytes between segments, segments of applications and what follows the end are left out; the parameters of
    sequential scans, which can have one value only, the revision of JFIF and Adobe's colour transform get a value
    that is defined; passes that stand there twice are left out, and a pass of a progressive picture with the mean
    colours comes before those with the details.

    Args:
        data: The file, from its start marker.

    Returns:
        The parts; as many as can be made out in a damaged file.
    """
    parts, tables, adobe, components = JpegParts(), b"", b"", 0
    for code, segment, coded in _segments(data):
        if code == _END:
            parts.closed = True
        elif code == _SCAN:
            parts.scans.append(Scan(tables, _scan_header(segment, parts.frames), coded))
            tables = b""
        elif code in _TABLES:
            tables += segment
        elif code in _FRAMES:
            parts.frames.append(code)
            components = segment[9] if len(segment) > 9 else 0
            parts.head += segment
        elif code == 0xE0 and segment[4:9] == b"JFIF\0" and len(segment) >= 18 and not parts.scans:
            parts.head += _JFIF
        elif code == 0xE1 and not parts.scans:
            parts.head += segment
        elif code == 0xEE and segment[4:9] == b"Adobe" and len(segment) >= 16 and not parts.scans:
            adobe = segment
    if adobe:
        parts.head += _adobe(adobe, components)
    if parts.frames and parts.frames[0] in _PROGRESSIVE:
        parts.scans = _in_order(parts.scans)
    return parts


def _segments(data: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Yield the code of each marker, its whole segment and, after the header of a scan, the coded data."""
    position, scanned = 2, False
    while True:
        position = data.find(b"\xff", position)
        if position < 0 or position + 1 >= len(data):
            return
        code = data[position + 1]
        if code in (0x00, 0xFF):
            position += 1 if code else 2
        elif code == _END and scanned:
            yield code, b"", b""
            return
        elif code == _START and scanned:  # the file was cut off here, and another follows
            return
        elif code == _START:  # the preview within a segment whose length is wrong, if another picture follows
            end = data.find(b"\xff\xd9", position)
            position = end + 2 if 0 <= end < data.find(b"\xff\xda", end) else position + 2
        elif code in _TABLES | _FRAMES | {_SCAN, 0xFE} or 0xE0 <= code <= 0xEF:
            end = position + 2 + int.from_bytes(data[position + 2 : position + 4], "big")
            if end < position + 4 or end > len(data):
                position += 2
                continue
            segment = data[position:end]
            position = end
            if code == _SCAN:
                scanned, found = True, _AFTER_SCAN.search(data, end)
                position = found.start() if found else len(data)
            yield code, segment, data[end:position].rstrip(b"\xff") if code == _SCAN else b""
        else:
            position += 2


def _scan_header(segment: bytes, frames: list[int]) -> bytes:
    return segment[:-3] + b"\0\x3f\0" if frames and frames[0] in _SEQUENTIAL else segment


def _adobe(segment: bytes, components: int) -> bytes:
    """Name the transform that decoders assume where the one that is named doesn't exist."""
    known, assumed = ((0, 2), 2) if components == 4 else ((0, 1), 1)
    return segment if segment[15] in known else segment[:15] + bytes([assumed]) + segment[16:]


def _in_order(scans: list[Scan]) -> list[Scan]:
    """Leave out repeated passes, and put the first pass of the mean colours first."""
    tables, unique = b"", dict[tuple[bytes, bytes], Scan]()
    for scan in scans:
        tables += scan.tables  # all that are in force, as the order may change
        unique.setdefault((scan.header, scan.data), Scan(tables, scan.header, scan.data))
    kept = sorted(unique.values(), key=lambda scan: scan.header[-3] != 0 or scan.header[-1] >> 4 != 0)
    return scans if [scan.data for scan in kept] == [scan.data for scan in scans] else kept

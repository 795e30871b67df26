"""What a file is, by its first bytes."""

import importlib.util
import io
import struct

import pytest
from PIL import Image, features

from datamodules.reading.file_kinds import HEAD, Kind, can_decode, recognise, refusal

OTHERS = {
    "an empty file": [b""],
    "an HTML page": [
        b"<!doctype html><title>404</title>",
        b"\xef\xbb\xbf\r\n  <HTML lang=en>",
        b"<!-- saved from -->\n<head>",
        b"<?xml version='1.0'?>\n<!DOCTYPE html PUBLIC",
        "\ufeff<html>".encode("utf-16-le"),
    ],
    "an XML document": [b"<?xml version='1.0'?><Error><Code>AccessDenied</Code>", b"<rss version='2'>"],
    "an SVG drawing": [b"<?xml version='1.0'?><!-- x --><svg xmlns=", b"<svg>"],
    "a Git LFS pointer": [b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12345\n"],
    "a git-annex pointer": [b"/annex/objects/SHA256E-s1--0.jpg\n"],
    "a PDF": [b"%PDF-1.7\n%\xe2\xe3", b"\n%PDF-1.4"],
    "JSON text": [b'{"error": 404}', b" [1, 2]", b"{}"],
    "plain text": [b"404 Not Found\n", "Zugriff verweigert: \xfc\xf6".encode("cp1252")],
    "a picture as base64 text": [b"/9j/4AAQSkZJRgABAQ==", b"data:image/jpeg;base64,/9j/"],
    "a ZIP archive": [b"PK\3\4\x14\0"],
    "a gzip archive": [b"\x1f\x8b\x08\0"],
    "a RAR archive": [b"Rar!\x1a\x07\0"],
    "a 7z archive": [b"7z\xbc\xaf\x27\x1c"],
    "an MP4 or QuickTime video": [b"\0\0\0\x18ftypisom\0\0\2\0isommp41", b"\0\0\0\x14ftypqt  \0\0\0\0qt  "],
    "an AVI video": [b"RIFF\0\1\0\0AVI LIST"],
}
PICTURES = {
    "AVIF": [b"\0\0\0\x1cftypavif\0\0\0\0avifmif1", b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif"],
    "HEIC": [b"\0\0\0\x18ftyp" + brand + bytes(99) for brand in (b"heic", b"heix", b"hevc", b"mif1", b"msf1", b"heif")],
    "raw": [
        b"II*\0\x10\0\0\0CR\2\0",
        b"\0\0\0\x18ftypcrx \0\0\0\1crx isom",
        b"FUJIFILMCCD-RAW 0201",
        b"IIRO\x08\0\0\0",
        b"IIU\0\x18\0\0\0",
        b"II*\0\x08\0\0\0\1\0" + struct.pack("<HHII", 50706, 1, 4, 0x401),
        b"MM\0*\0\0\0\x08\0\2" + struct.pack(">HHII", 254, 4, 1, 1) + struct.pack(">HHII", 330, 4, 1, 99),
    ],
    "TIFF": [b"II*\0\x08\0\0\0\1\0" + struct.pack("<HHII", 256, 3, 1, 9), b"MM\0*\0\0\0\x08", b"II+\0\x08", b"MM\0+"],
    "JPEG XL": [b"\xff\x0a\xfa\x7f", b"\0\0\0\x0cJXL \r\n\x87\n"],
    "JPEG 2000": [b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  \r\n\x87\n"],
    "PSD": [b"8BPS\0\1"],
}


def known(head: bytes) -> Kind:
    kind = recognise(head)
    assert kind is not None
    return kind


@pytest.mark.parametrize("name", OTHERS)
def test_what_lies_about_under_the_name_of_a_picture_is_named(name: str) -> None:
    for head in OTHERS[name]:
        kind = known(head)
        assert (kind.name, kind.picture) == (name, False)
        assert str(refusal(kind)).startswith(f"it is {name}")


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_are_known_by_their_content(name: str) -> None:
    for head in PICTURES[name]:
        kind = known(head)
        assert (kind.format, kind.picture) == (name, True)


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WebP", "GIF", "BMP", "TIFF", "AVIF", "PPM", "MPO"])
def test_what_pillow_writes_is_recognised_and_can_be_decoded(format_: str) -> None:
    if format_ == "AVIF" and not features.check("avif"):
        pytest.skip("no encoder")
    buffer = io.BytesIO()
    Image.new("RGB", (200, 200), "red").save(buffer, format_)
    kind = known(buffer.getvalue())
    assert kind.format == {"PPM": "PNM", "MPO": "JPEG"}.get(format_, format_)
    assert kind == recognise(buffer.getvalue()[:HEAD])
    assert can_decode(kind)
    assert refusal(kind) is None


def test_what_cannot_be_decoded_comes_with_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    answer = "it is a HEIC picture: pip install -e '.[heic]' reads it, or convert it to JPEG"
    assert refusal(known(PICTURES["HEIC"][0])) == answer
    assert refusal(known(PICTURES["raw"][0])) == "it is a camera raw file: convert it to JPEG"
    assert refusal(known(OTHERS["a Git LFS pointer"][0])) == "it is a Git LFS pointer: run git lfs pull"


def test_random_bytes_are_nothing_known() -> None:
    assert recognise(bytes(range(128, 200))) is None

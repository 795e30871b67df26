"""What hypothesis draws: damaged files, names, and values that nobody means."""

import io
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import Phase, settings
from hypothesis import strategies as st
from PIL import Image, features

ENCODINGS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "photo.jpg": ("RGB", "JPEG", {}),
    "progressive.jpg": ("RGB", "JPEG", {"progressive": True}),
    "grey.jpg": ("L", "JPEG", {}),
    "press.jpg": ("CMYK", "JPEG", {}),
    "turned.jpg": ("RGB", "JPEG", {"exif": Image.Exif()}),
    "drawing.png": ("RGB", "PNG", {}),
    "palette.png": ("P", "PNG", {}),
    "transparent.png": ("RGBA", "PNG", {}),
    "photo.webp": ("RGB", "WEBP", {}),
    "drawing.gif": ("P", "GIF", {}),
    "old.bmp": ("RGB", "BMP", {}),
    "scan.tiff": ("RGB", "TIFF", {"compression": "tiff_lzw"}),
    "turned.tiff": ("RGB", "TIFF", {"exif": Image.Exif()}),
    "press.tiff": ("CMYK", "TIFF", {}),
    "deep.tiff": ("I;16", "TIFF", {}),
    "deep.png": ("I;16", "PNG", {}),
    "restarts.jpg": ("RGB", "JPEG", {"restart_marker_rows": 1}),
    "transparent.webp": ("RGBA", "WEBP", {}),
    "transparent.tiff": ("RGBA", "TIFF", {"compression": "tiff_deflate"}),
    **({"phone.avif": ("RGB", "AVIF", {})} if features.check("avif") else {}),
}
for _name in ("turned.jpg", "turned.tiff"):
    ENCODINGS[_name][2]["exif"][0x0112] = 6


def cases(share: float) -> Callable[[Any], Any]:
    """Draw this share of the examples that the profile (``--hypothesis-profile``) asks for; simplify cheap ones."""
    phases = [Phase.explicit, Phase.generate, *([Phase.shrink] if share > 0.2 else [])]
    return settings(max_examples=max(1, int(share * settings().max_examples)), phases=phases)


@cache
def pictures() -> dict[str, bytes]:
    """Files of all kinds by name: of noise on a ramp, and real photographs as JPEG and PNG where there are some."""
    ramp = np.linspace(0, 200, 64 * 48 * 3).reshape(48, 64, 3) + np.random.default_rng(0).integers(0, 50, (48, 64, 3))
    files = {}
    for name, (mode, kind, options) in ENCODINGS.items():
        files[name] = encoded(Image.fromarray(ramp.astype(np.uint8)).convert(mode), kind, **options)
    root = os.environ.get("STANFORD_CARS_ROOT")
    for photograph in sorted(Path(root, "cars_train").iterdir())[:4] if root else []:
        files[photograph.name] = photograph.read_bytes()
        files[f"{photograph.stem}.png"] = encoded(Image.open(photograph), "PNG")
    return files


def encoded(picture: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


@st.composite
def damaged(draw: st.DrawFn, source: bytes, others: tuple[bytes, ...] = ()) -> bytes:
    """Change a file in one to four places, more often near its beginning, where the headers are."""
    data = bytearray(source)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(data)) | st.integers(0, min(len(data), 400)))
        length = draw(st.integers(1, 64))
        how = draw(st.sampled_from(["flip", "overwrite", "zero", "fill", "remove", "insert", "repeat", "cut", "graft"]))
        if how == "flip" and place < len(data):
            data[place] ^= 1 << draw(st.integers(0, 7))
        elif how == "overwrite":
            data[place : place + 4] = draw(st.binary(min_size=4, max_size=4))
        elif how in ("zero", "fill"):
            data[place : place + length] = (b"\0" if how == "zero" else b"\xff") * length
        elif how == "remove":
            del data[place : place + length]
        elif how == "insert":
            data[place:place] = draw(st.binary(max_size=64))
        elif how == "repeat":
            data[place:place] = data[place : place + length]
        elif how == "cut":
            del data[place:]
        elif how == "graft" and others:
            other = draw(st.sampled_from(others))
            start = draw(st.integers(0, len(other)))
            data[place : place + length] = other[start : start + length]
    return bytes(data)


@st.composite
def damaged_pictures(draw: st.DrawFn) -> tuple[str, bytes]:
    """Draw a name and a damaged file."""
    name = draw(st.sampled_from(sorted(pictures())))
    return name, draw(damaged(pictures()[name], tuple(pictures().values())))


CELLS = st.sampled_from(
    [
        "a", "b", "007", "7", "nan", "NA", "null", "None", "true", "", " a ", '"', "a,b", "a\nb", "a\rb", "'", "ü",
        "\u202e", "😀", "a/b", "..", "#N/A", "1_000", "x" * 300,
    ]
)  # fmt: skip
NUMBERS = st.sampled_from(["", "nan", "-inf", "1e300", "2.5", "99999999999", "1e19", "x"])
_LETTERS = st.characters(exclude_characters="/\0", exclude_categories=["Cs"])
FILE_NAMES = st.text(_LETTERS, min_size=1, max_size=40).filter(lambda name: name[0] != "." and len(name.encode()) < 240)
VALUES = st.sampled_from(
    [
        "-1", "0", "1", "2", "0.5", "1e-9", ".nan", ".inf", "-.inf", "many", "null", "true", "[]", "{}", "''", "-3.5",
        "100000000000000000000", "[1, 2]", "'ü/'", "[null]", "{a: 1}", "2020-01-01", "'\\0'", "!!python/name:os.system",
    ]
)  # fmt: skip

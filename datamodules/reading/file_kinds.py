"""Recognises file types by their first bytes."""

import importlib.util
import re
import struct
from functools import cache
from typing import NamedTuple

import cv2

HEAD = 512

_UNPACK = "unpack it"
_CONVERT = "convert it to JPEG"
_HEIC = "pip install -e '.[heic]' reads it, or convert it to JPEG"


class Kind(NamedTuple):
    """What a file is.

    Attributes:
        name: Its name with an article, for "it is ...".
        picture: Whether it holds a picture.
        format: The short name of a picture's format, such as ``JPEG``; empty for all else.
        remedy: What to do where it can't be decoded; may be empty.
    """

    name: str
    picture: bool
    format: str = ""
    remedy: str = ""


def _picture(format: str, remedy: str = "", article: str = "a") -> Kind:  # noqa: A002 - the word of the field
    return Kind(f"{article} {format} picture", picture=True, format=format, remedy=remedy)


def _other(name: str, remedy: str = "") -> Kind:
    return Kind(name, picture=False, remedy=remedy)


_RAW = Kind("a camera raw file", picture=True, format="raw", remedy=_CONVERT)
_JPEG, _TIFF = _picture("JPEG"), _picture("TIFF")
_VIDEO = "save its frames as pictures"
# Dots stand for any byte.
_SIGNATURES: list[tuple[bytes, Kind]] = [
    (rb"\xff\xd8", _JPEG),
    (rb"\x89PNG\r\n\x1a\n", _picture("PNG")),
    (rb"\x8aMNG|\x8bJNG", _picture("MNG", _CONVERT, "an")),
    (rb"RIFF....WEBP", _picture("WebP")),
    (rb"GIF8[79]a", _picture("GIF")),
    (rb"BM.{12}[\x0c\x10\x28\x34\x38\x40\x6c\x7c]\0\0\0", _picture("BMP")),
    (rb"II\*\0....CR|IIRO|IIRS|MMOR|IIU\0|FUJIFILMCCD-RAW|FOVb|\0MRM", _RAW),
    (rb"II[*+]\0|MM\0[*+]", _TIFF),
    (rb"\0\0\0\x0cJXL \r\n\x87\n|\xff\x0a", _picture("JPEG XL", _CONVERT)),
    (rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51", _picture("JPEG 2000", _CONVERT)),
    (rb"8BPS", Kind("a Photoshop document", picture=True, format="PSD", remedy=_CONVERT)),
    (rb"gimp xcf", Kind("a GIMP document", picture=True, format="XCF", remedy=_CONVERT)),
    (rb"P[1-6]\s+[\d#]", _picture("PNM")),
    (rb"#\?(?:RADIANCE|RGBE)", _picture("Radiance HDR")),
    (rb"\x76\x2f\x31\x01", _picture("OpenEXR", _CONVERT, "an")),
    (rb"\x59\xa6\x6a\x95", _picture("Sun raster")),
    (rb"qoif", _picture("QOI", _CONVERT)),
    (rb"DDS ", _picture("DDS", _CONVERT)),
    (rb"BPG\xfb", _picture("BPG", _CONVERT)),
    (rb"\0\0[\x01\x02]\0[^\0]\0..\0", Kind("an icon (ICO)", picture=True, format="ICO", remedy=_CONVERT)),
    (rb".{128}DICM", _picture("DICOM", _CONVERT)),
    (rb"SIMPLE  =", _picture("FITS", _CONVERT)),
    (rb"version https://git-lfs", _other("a Git LFS pointer", "run git lfs pull")),
    (rb"(?:\.git/annex|/annex|(?:\.\./)*\.git/annex)/objects/", _other("a git-annex pointer", "run git annex get")),
    (rb"data:image/|/9j/[\w+/]{8}|iVBORw0KGgo", _other("a picture as base64 text", "decode it from base64")),
    (rb"(?:.{0,200}\s)?%PDF-", _other("a PDF", "save its pages as pictures")),
    (rb"%!PS|\xc5\xd0\xd3\xc6", _other("a PostScript file", "save it as a picture")),
    (rb"PK(?:\x03\x04|\x05\x06|\x07\x08)", _other("a ZIP archive", _UNPACK)),
    (rb"\x1f\x8b", _other("a gzip archive", _UNPACK)),
    (rb"BZh[1-9]", _other("a bzip2 archive", _UNPACK)),
    (rb"\xfd7zXZ\0", _other("an xz archive", _UNPACK)),
    (rb"\x28\xb5\x2f\xfd", _other("a Zstandard archive", _UNPACK)),
    (rb"Rar!\x1a\x07", _other("a RAR archive", _UNPACK)),
    (rb"7z\xbc\xaf\x27\x1c", _other("a 7z archive", _UNPACK)),
    (rb".{257}ustar", _other("a tar archive", _UNPACK)),
    (rb"\x1aE\xdf\xa3", _other("a Matroska or WebM video", _VIDEO)),
    (rb"RIFF....AVI ", _other("an AVI video", _VIDEO)),
    (rb"RIFF....WAVE|ID3|OggS|fLaC", _other("a sound file")),
    (rb"\0\0\x01[\xb3\xba]|FLV\x01|\x30\x26\xb2\x75\x8e\x66\xcf\x11", _other("a video", _VIDEO)),
    (rb"\0\x05\x16[\0\x07]", _other("the AppleDouble file of a Mac, which contains no picture")),
    (rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", _other("an Office document or a Thumbs.db")),
    (rb"L\0\0\0\x01\x14\x02\0|\[InternetShortcut\]", _other("a shortcut, not what it leads to")),
    (rb"bplist0", _other("a property list")),
    (rb"\x93NUMPY", _other("a NumPy array", "save it as a picture")),
    (rb"\x89HDF\r\n", _other("an HDF5 file")),
    (rb"PAR1", _other("a Parquet table")),
    (rb"SQLite format 3", _other("an SQLite database")),
    (rb"\x7fELF|MZ.{38}\0|\xcf\xfa\xed\xfe", _other("a program")),
    (rb"\0{8}", _other("a file that begins with zeros, as a broken download or copy does", "copy it again")),
]
_SIGNATURE = re.compile(b"|".join(b"(%s)" % pattern for pattern, _ in _SIGNATURES), re.DOTALL)
_HEIF_BRANDS = {
    b"heic",
    b"heix",
    b"heim",
    b"heis",
    b"hevc",
    b"hevx",
    b"hevm",
    b"hevs",
    b"heif",
    b"mif1",
    b"mif2",
    b"msf1",
}
_BLANK = r"(?:\s|<!--.*?-->|<\?xml.*?\?>)*"
_HTML = re.compile(rf"{_BLANK}<(?:!doctype\s+html|html|head|body|title|meta|script|div|center|h1)\b", re.I | re.DOTALL)
_SVG = re.compile(rf"{_BLANK}(?:<!doctype\s+svg|<svg\b)", re.I | re.DOTALL)
_XML = re.compile(r"\s*(?:<!--.*?-->\s*)*<(?:\?xml|!doctype|[A-Za-z][\w:.-]*[\s/>])", re.I | re.DOTALL)
_JSON = re.compile(r"\s*(?:\{\s*(?:[\"}]|$)|\[\s*(?:[\[{\"\d\]-]|$))")


def recognise(head: bytes) -> Kind | None:
    """Say what a file is.

    Args:
        head: Its first ``HEAD`` bytes, or more; all of them where the file is shorter.

    Returns:
        The kind, or None if nothing is known that begins so.
    """
    head = head[:HEAD]
    if not head:
        return _other("an empty file")
    if head[4:8] == b"ftyp":
        return _media(head)
    match = _SIGNATURE.match(head)
    if match and match.lastindex:
        kind = _SIGNATURES[match.lastindex - 1][1]
        return _RAW if kind is _TIFF and _is_raw(head) else kind
    return _text(head)


def refusal(kind: Kind) -> str | None:
    """Say why a file of a kind can't be read here, and what to do.

    Args:
        kind: The kind.

    Returns:
        Words such as ``it is a PDF: save its pages as pictures``; None if this installation decodes it.
    """
    if can_decode(kind):
        return None
    return f"it is {kind.name}" + (f": {kind.remedy}" if kind.remedy else "")


def can_decode(kind: Kind) -> bool:
    """Check whether this installation has a decoder for a kind of file.

    Args:
        kind: The kind.

    Returns:
        Whether it has.
    """
    if kind.format == "HEIC":
        return importlib.util.find_spec("pillow_heif") is not None
    if kind.format in ("AVIF", "JPEG XL", "JPEG 2000"):
        return kind.format in _built_in()
    return kind.format in ("JPEG", "PNG", "WebP", "GIF", "BMP", "TIFF", "PNM", "Radiance HDR", "Sun raster")


@cache
def _built_in() -> frozenset[str]:
    """List the decoders that not every build of OpenCV has."""
    found = re.findall(r"^\s*(AVIF|JPEG XL|JPEG 2000|OpenJPEG):\s+(?!NO\b)\S", cv2.getBuildInformation(), re.MULTILINE)
    return frozenset("JPEG 2000" if name == "OpenJPEG" else name for name in found)


def _media(head: bytes) -> Kind:
    """Distinguish what shares the container of MP4 (ISO/IEC 14496-12) by its brands."""
    size = struct.unpack(">I", head[:4])[0]
    brands = {head[place : place + 4] for place in (8, *range(16, min(size, len(head)) - 3, 4))}
    if brands & {b"avif", b"avis"}:
        return _picture("AVIF", article="an")
    if b"crx " in brands:
        return _RAW
    if brands & _HEIF_BRANDS:
        return _picture("HEIC", _HEIC)
    return _other("an MP4 or QuickTime video", _VIDEO)


def _is_raw(head: bytes) -> bool:
    """Distinguish raw files (DNG, NEF, ARW) from other TIFFs: by a DNG version, or a preview as the first picture."""
    order = "<" if head[:2] == b"II" else ">"
    try:
        start = struct.unpack_from(f"{order}I", head, 4)[0]
        count = struct.unpack_from(f"{order}H", head, start)[0]
        entries = [struct.unpack_from(f"{order}HHII", head, start + 2 + 12 * number) for number in range(count)]
    except struct.error:  # further down than the head reaches, or a BigTIFF
        return False
    preview = any(tag == 254 and value & 1 for tag, _, _, value in entries)
    tags = {entry[0] for entry in entries}
    return 50706 in tags or (preview and 330 in tags)


def _text(head: bytes) -> Kind | None:
    """Recognise what is written in words: pages, data, plain text."""
    for mark, encoding in ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be")):
        if head.startswith(mark):
            text = head[len(mark) :].decode(encoding, errors="ignore")
            break
    else:
        text = head.decode("utf-8", errors="replace")
    text = text.lstrip("\ufeff\0")
    if _HTML.match(text):
        return _other("an HTML page", "a web page was saved in place of the picture")
    if _SVG.match(text):
        return _other("an SVG drawing", "save it as PNG")
    if _XML.match(text):
        return _other("an XML document")
    if _JSON.match(text):
        return _other("JSON text")
    strange = sum(not character.isprintable() and character not in "\t\r\n\f" for character in text)
    return _other("plain text") if text and not strange and text.count("\ufffd") <= 0.2 * len(text) else None

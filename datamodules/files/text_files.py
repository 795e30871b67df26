"""Text files as people's programs write them: in any of the usual encodings, a name on each line."""

import codecs
import json
from collections.abc import Callable, Iterable

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig", "UTF-8 with a byte order mark"),
    (codecs.BOM_UTF32_LE, "utf-32", "UTF-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32", "UTF-32"),
    (codecs.BOM_UTF16_LE, "utf-16", "UTF-16"),
    (codecs.BOM_UTF16_BE, "utf-16", "UTF-16"),
)
_SAMPLE = 4096


def decode_text(data: bytes, names_file: Callable[[str], bool] | None = None) -> tuple[str, str]:
    """Decode a text file, finding its encoding out.

    Args:
        data: The content.
        names_file: Checks whether a text, in which a byte that isn't UTF-8 stands as a lone surrogate, names a file
            that exists. Names of files are bytes: such a list of them is taken as it is, not as cp1252.

    Returns:
        The text, and what the encoding is called.

    Raises:
        ValueError: If it isn't text in UTF-8, UTF-16, UTF-32 or cp1252.
    """
    for mark, codec, name in _MARKS:
        if data.startswith(mark):  # a list that this program has written may hold names of files in bytes
            return data.decode(codec, errors="surrogateescape" if codec == "utf-8-sig" else "strict"), name
    sample = data[:_SAMPLE]
    if b"\0" in sample:  # text in the alphabets of Europe has zeros in every other byte, if at all
        order = "utf-16-le" if sample[1::2].count(0) >= sample[0::2].count(0) else "utf-16-be"
        if max(sample[1::2].count(0), sample[0::2].count(0)) > 0.2 * len(sample):
            return data.decode(order), "UTF-16"
    try:
        return data.decode("utf-8"), "UTF-8"
    except UnicodeDecodeError:
        raw = data.decode("utf-8", errors="surrogateescape")
    if names_file and names_file(raw):
        return raw, "names of files in bytes"
    try:
        return data.decode("cp1252"), "cp1252"
    except UnicodeDecodeError as error:
        raise ValueError("it is not text in UTF-8, UTF-16 or cp1252") from error


def encode_lines(names: Iterable[str]) -> str:
    """Write one name on each line.

    Args:
        names: Any text. A name that a line can't hold as it is stands as a JSON string.

    Returns:
        The lines, each with its end.
    """
    return "".join(f"{json.dumps(name) if _needs_quotes(name) else name}\n" for name in names)


def decode_lines(text: str) -> list[str]:
    """Read what ``encode_lines`` has written, or a person.

    Args:
        text: The lines; those that are JSON strings are decoded.

    Returns:
        The names, with the blanks at their ends.
    """
    lines = text.replace("\r\n", "\n").split("\n")
    return [_decode_line(line) for line in (lines if lines[-1] else lines[:-1])]


def _needs_quotes(name: str) -> bool:
    return "\n" in name or "\r" in name or name[:1] in ('"', "#") or name != name.strip() or not name


def _decode_line(line: str) -> str:
    if len(line) > 1 and line[0] == line[-1] == '"':
        try:
            return str(json.loads(line))
        except ValueError:
            return line
    return line

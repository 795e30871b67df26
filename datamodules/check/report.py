"""Puts findings where users see them: the console, a page with pictures, a table, a list for ``data.exclude``."""

import base64
import csv
import hashlib
import io
import os
from collections.abc import Collection, Sequence
from functools import cache
from itertools import chain, count
from pathlib import Path

import cv2
from jinja2 import Environment, FileSystemLoader
from lightning.fabric.utilities.exceptions import MisconfigurationException

from datamodules.check.findings import Finding, excluded
from datamodules.files.text_files import encode_lines
from datamodules.reading.image_reader import UnreadableImageError, read_image

_PICTURES = 60  # of each finding on the page
_HEIGHT = 110
_COLUMNS = ["severity", "problem", "detail", "file", "other file"]
_HEADS = {"report.html": "<title>Data check: ", "problems.csv": ",".join(_COLUMNS)}


def write_report(
    findings: Sequence[Finding], folder: Path, base: Path, summary: str, excluded_already: Collection[str] = ()
) -> dict[str, Path]:
    """Write ``report.html``, ``problems.csv`` and, if something is better left out, ``exclude.txt``.

    An earlier report is replaced, and so is a list for the same data set. Beside a file of such a name that somebody
    else has written or changed, or a list for another data set, the new one gets a number.

    Args:
        findings: The findings.
        folder: Folder to write to.
        base: What the paths in ``exclude.txt`` are relative to.
        summary: A line for the head of the page.
        excluded_already: Files that are left out already; a new list has them too.

    Returns:
        The files, by their names without a number.

    Raises:
        MisconfigurationException: If the folder can't be written to.
    """

    def relative(file: str) -> str:
        return os.path.relpath(file, base)

    page = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True).get_template("page.html")
    html = page.render(
        name=base.resolve().name,
        summary=summary,
        findings=findings,
        limit=_PICTURES,
        thumbnail=cache(_thumbnail),
        exchanged=_exchanged,
        relative=relative,
    )
    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerow(_COLUMNS)
    for finding in findings:
        for text, files in finding.files:
            writer.writerow([finding.severity, finding.title, text, *(relative(file) for file in files)])
    mark = "" if table.getvalue().isascii() else "\ufeff"  # by which Excel knows UTF-8
    contents = {"report.html": html, "problems.csv": mark + table.getvalue()}
    better_excluded = excluded(findings)
    if better_excluded:
        listed = encode_lines(relative(file) for file in sorted({*better_excluded, *excluded_already}))
        contents["exclude.txt"] = _title(listed, base) + listed
    places: dict[str, Path] = {}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in contents.items():
            numbered = (folder / f"{Path(name).stem}.{number}{Path(name).suffix}" for number in count(1))
            places[name] = next(path for path in chain([folder / name], numbered) if _is_free(path, name, base))
            _write(places[name], text)
    except OSError as error:
        raise MisconfigurationException(f"Can't write the report to {folder}: {error.strerror}.") from error
    return places


def summary_lines(findings: Sequence[Finding]) -> list[str]:
    """Format the findings as text, the worst first.

    Args:
        findings: The findings.

    Returns:
        A line for each, and the first cases of what is wrong.
    """
    lines = []
    for finding in findings:
        lines.append(f"{finding.severity:8} {len(finding.files):7}  {finding.title}")
        if finding.advice:
            lines.append(f"{'':17}  {finding.advice}")
        elif finding.severity == "error" or len(finding.files) == 1:
            lines += [f"{'':17}  {' '.join([*files, text]).strip()}" for text, files in finding.files[:3]]
    return lines


def _title(listed: str, base: Path) -> str:
    """Make the first line of ``exclude.txt``, which tells what it is for, and whether the others were changed."""
    digest = hashlib.sha256(f"{base.resolve()}\n{listed}".encode(errors="surrogateescape")).hexdigest()[:12]
    return f"# Proposed by train.py check ({digest}); to be used as data.exclude.\n"


def _is_free(path: Path, name: str, base: Path) -> bool:
    """Check whether there is no file, or one that may be replaced."""
    if not path.exists():
        return True
    text = path.read_text(encoding="utf-8", errors="surrogateescape")
    if name in _HEADS:
        return _HEADS[name] in text[:200]
    title, _, listed = text.partition("\n")
    return f"{title}\n" == _title(listed, base)


def _write(path: Path, text: str) -> None:
    draft = path.with_name(f".{path.name}")
    draft.write_text(text, encoding="utf-8", errors="surrogateescape")  # names of files needn't be UTF-8
    draft.replace(path)


def _exchanged(file: str) -> str | None:
    return _thumbnail(file, exchanged=True)


def _thumbnail(file: str, exchanged: bool = False) -> str | None:
    try:
        image = read_image(file)
    except UnreadableImageError:
        return None
    image = image[..., ::-1] if exchanged else image
    width = max(1, round(image.shape[1] * _HEIGHT / image.shape[0]))
    small = cv2.resize(image, (min(width, 6 * _HEIGHT), _HEIGHT), interpolation=cv2.INTER_AREA)
    encoded = cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 75])[1]
    return "data:image/jpeg;base64," + base64.b64encode(encoded.tobytes()).decode()

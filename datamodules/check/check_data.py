"""Reads the whole data set once, and reports all problems."""

import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np

from datamodules.account import MISSING, UNLABELLED
from datamodules.check.findings import Finding, Severity, find_problems
from datamodules.check.inspection import inspect_images
from datamodules.check.labelled_files import LabelledFiles, list_files
from datamodules.check.report import summary_lines, write_report
from datamodules.image_data_module import ImageDataModule
from datamodules.image_folder import ImageFolderDataModule
from datamodules.layouts.official_annotations import differs_from_official
from datamodules.loading_data_module import Split

_ORDER: tuple[Severity, ...] = ("error", "warning", "note")


def check_data(data: ImageDataModule, output: str) -> bool:
    """Decode every image and report all problems, on the console and in a folder.

    Args:
        data: The data module.
        output: Folder for ``report.html``, ``problems.csv`` and ``exclude.txt``.

    Returns:
        Whether training would be right.

    Raises:
        MisconfigurationException: If there is no data set, or the report can't be written.
    """
    data.prepare_data()
    listed = list_files(data)
    findings = [Finding("error" if split == "train" else "warning", f"no {split} split", [(reason, [])])
                for split, reason in listed.missing.items()]  # fmt: skip
    findings += _layout_findings(data, listed)
    stored = {split: read for split in dict.fromkeys(listed.splits) if (read := data.stored_files(split))}
    content = partial(_content, listed, stored) if stored else None
    findings += find_problems(listed, inspect_images(np.array(listed.files), os.cpu_count() or 1, content))
    findings.sort(key=lambda finding: _ORDER.index(finding.severity))
    counts = {severity: sum(finding.severity == severity for finding in findings) for severity in _ORDER}
    summary = (
        f"{len(listed.files)} images of {len(listed.class_names)} classes: {_kinds(counts['error'], 'error')}, "
        f"{_kinds(counts['warning'], 'warning')}."
    )
    base = data.layout.base if isinstance(data, ImageFolderDataModule) else Path()
    already = data.amendments.excluded if isinstance(data, ImageFolderDataModule) else ()
    places = write_report(findings, Path(output), base, summary, already)
    lines = [*summary_lines(findings), summary, f"page with pictures: {places['report.html']}"]
    if "exclude.txt" in places:
        again = "convert again with " * bool(stored)
        lines.append(f"to leave out what is wrong: {again}--data.exclude {places['exclude.txt']}")
    text = "\n".join(lines).encode(errors="backslashreplace").decode()  # names of files needn't be UTF-8
    print(f"\n{text}", flush=True)  # noqa: T201 - the result that the user waits for
    return not counts["error"]


def _content(listed: LabelledFiles, stored: Mapping[Split, Callable[[int], bytes]], index: int) -> bytes | None:
    read = stored.get(listed.splits[index])
    return None if read is None else read(int(listed.positions[index]))


def _kinds(number: int, of: str) -> str:
    return f"{number} {'kind' if number == 1 else 'kinds'} of {of}"


def _layout_findings(data: ImageDataModule, listed: LabelledFiles) -> list[Finding]:
    """Look at what lies in the folders but isn't used, and at annotations that aren't the official ones."""
    if not isinstance(data, ImageFolderDataModule):
        return []
    layout = data.layout
    everything = {part: data.read(part) for part in layout.parts if part not in listed.missing}
    findings = [Finding("note", note, [("", [])]) for note in layout.notes]
    for reason, noted in sorted(data.account().by_reason.items()):
        if reason != MISSING:  # which can't be read
            severity: Severity = "warning" if any(item.picture for item in noted) else "note"
            cases = [(f"{item.files} files" if item.files != 1 else item.detail, [item.path]) for item in noted]
            title = "image without a label" if reason == UNLABELLED else f"passed over: {reason}"
            findings.append(Finding(severity, title, cases))
    unlabelled = [str(file) for samples in everything.values() for file in np.delete(samples.files, samples.labelled())]
    if unlabelled:
        findings.append(Finding("warning", "image without a label", [("", [file]) for file in unlabelled]))
    for part, samples in everything.items():
        path = differs_from_official(layout, part, samples)
        if path:
            text = "the official file has other labels or boxes"
            findings.append(Finding("error", "annotations aren't the official ones", [(f"{path}: {text}", [])]))
    return findings

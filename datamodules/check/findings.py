"""The rules of ``check``: errors, warnings and notes."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from datamodules.account import MISSING
from datamodules.check.duplicates import shared_boxes
from datamodules.check.exchanged_colours import exchanged_colours
from datamodules.check.inspection import Inspection
from datamodules.check.labelled_files import LabelledFiles
from datamodules.fingerprints import exact_duplicates, near_duplicates

Severity = Literal["error", "warning", "note"]

_SMALL, _HUGE, _SLENDER = 32, 40_000_000, 6.0
_EXAMPLES = 6
_TREATMENTS = {
    "transparency": "on white when read",
    "16 bits": "scaled to 8 when read",
    "floating point": "scaled to 8 bits when read",
    "animation": "of which the first frame is read",
    "odd JPEG header": "read nevertheless",
}


@dataclass
class Finding:
    """A problem and the files that have it.

    Attributes:
        severity: ``error`` where training would be wrong, ``warning`` where it may be, ``note`` else.
        title: What is wrong.
        files: For each case: what there is to say about it, and the files concerned.
        exclude: Files that are better left out.
        advice: What there is to say about all cases.
        exchange: Whether each picture is to be shown with red and blue exchanged, too.
    """

    severity: Severity
    title: str
    files: list[tuple[str, list[str]]] = field(default_factory=list)
    exclude: list[str] = field(default_factory=list)
    advice: str = ""
    exchange: bool = False


def find_problems(data: LabelledFiles, inspections: list[Inspection]) -> list[Finding]:
    """Apply all rules.

    Args:
        data: Files of all splits with labels and boxes.
        inspections: What was found in each file.

    Returns:
        Findings with at least one case each.
    """
    findings = [*_unreadable(data, inspections), *_boxes(data, inspections), *_duplicates(data, inspections)]
    findings += [*_classes(data), *_sizes(data, inspections), *_traits(data, inspections)]
    findings += _exchanged(data, inspections)
    return [finding for finding in findings if finding.files]


def _unreadable(data: LabelledFiles, inspections: list[Inspection]) -> Iterator[Finding]:
    bad = [(found.problem, data.files[index]) for index, found in enumerate(inspections) if found.problem]
    met: Counter[str] = Counter()
    rank = {}
    for problem, file in bad:
        rank[file] = met[problem]
        met[problem] += 1
    bad.sort(key=lambda case: rank[case[1]])  # so that each reason is among the first
    missing = {file for _, file in bad if not os.path.lexists(file)}
    for title, cases in (
        ("can't be read", [(problem, file) for problem, file in bad if file not in missing]),
        (MISSING, [("", file) for _, file in bad if file in missing]),
    ):
        yield Finding("error", title, [(text, [file]) for text, file in cases], [file for _, file in cases])


def _boxes(data: LabelledFiles, inspections: list[Inspection]) -> Iterator[Finding]:
    if data.boxes is None:
        return
    outside, beyond = Finding("error", "box outside of the image"), Finding("warning", "box reaches beyond the image")
    for file, box, found in zip(data.files, data.boxes.tolist(), inspections, strict=True):
        x1, y1, x2, y2 = box
        text = f"box ({x1}, {y1}, {x2}, {y2}), image {found.width}x{found.height}"
        if found.problem:
            continue
        if max(0, x1) >= min(found.width, x2) or max(0, y1) >= min(found.height, y2):
            outside.files.append((text, [file]))
            outside.exclude.append(file)
        elif x1 < 0 or y1 < 0 or x2 > found.width or y2 > found.height:
            beyond.files.append((text, [file]))
    yield from (outside, beyond)


def _duplicates(data: LabelledFiles, inspections: list[Inspection]) -> Iterator[Finding]:
    prints = [found.fingerprint for found in inspections]
    exact, near = exact_duplicates(prints), near_duplicates(prints)
    leak = Finding("error", "same picture in training and test")
    shared = Finding("warning", "same picture in training and validation")
    contradiction = Finding("error", "same picture under different labels")
    unsure = Finding("warning", "same picture under different labels in the test set")
    repeated = Finding("warning", "same picture more than once")
    parted = Finding("warning", "boxes of one photograph in training and test")
    for kind, pairs in (("identical files", exact), ("nearly identical pictures", near)):
        for first, second in pairs:
            files = [data.files[first], data.files[second]]
            splits = [data.splits[first], data.splits[second]]
            text = f"{kind}: {data.describe(first)}; {data.describe(second)}"
            training = [file for file, split in zip(files, splits, strict=True) if split != "test"]
            if data.are_crops_of_one(first, second):
                if len(training) == 1:
                    parted.files.append((f"{data.describe(first)}; {data.describe(second)}", files[:1]))
                continue
            if len(training) == 1 and data.divided_by:
                finding, drop = leak, []
                text += f"; delete {data.divided_by} to divide anew, with equal pictures in one part"
            elif len(training) == 1:
                finding, drop = leak, training
            elif data.labels[first] != data.labels[second]:
                finding, drop = (contradiction, files) if training else (unsure, [])
            else:
                finding, drop = (shared if splits[0] != splits[1] else repeated), []
            finding.files.append((text, files))
            finding.exclude += drop
    yield from (leak, contradiction, unsure, shared, repeated, parted)
    if data.boxes is not None:
        sizes = np.array([(found.width, found.height) for found in inspections]).reshape(-1, 2)
        known = {*exact, *near}
        pairs = [pair for pair in shared_boxes(data.boxes, sizes) if pair not in known]
        yield Finding(
            "warning",
            "same box to the pixel, likely the same photograph",
            [(f"{data.describe(a)}; {data.describe(b)}", [data.files[a], data.files[b]]) for a, b in pairs],
        )


def _classes(data: LabelledFiles) -> Iterator[Finding]:
    counts = {split: data.counts(split) for split in ("train", "val", "test") if split in data.splits}
    for split, of_class in counts.items():
        absent = [data.class_names[label] for label in np.flatnonzero(of_class == 0)]
        severity: Severity = "error" if split == "train" else "warning"
        yield Finding(severity, f"classes without an image in {split}", [(name, []) for name in absent])
        present = of_class[of_class > 0]
        low, high = int(present.min()), int(present.max())
        number = f"{low} to {high} images" if low < high else f"{low} image{'s' * (low > 1)}"
        classes = "1 class" if len(present) == 1 else f"{len(present)} classes"
        text = f"{number} in each of {classes}" + (f", {of_class.sum()} in all" if low < high else "")
        yield Finding("note", f"images per class in {split}", [(text, [])])
    alike: dict[str, list[str]] = {}
    for name in data.class_names:
        alike.setdefault(name.casefold(), []).append(name)
    yield Finding(
        "warning",
        "classes whose names differ in case only",
        [(" and ".join(map(repr, names)), []) for names in alike.values() if len(names) > 1],
    )
    if "train" in counts and counts["train"].max() > 10 * max(1, counts["train"].min()):
        text = "consider data.balanced_sampling or model.balanced_loss"
        yield Finding("warning", "classes of very uneven size", [(text, [])])


def _sizes(data: LabelledFiles, inspections: list[Inspection]) -> Iterator[Finding]:
    odd = Finding("warning", "tiny, huge or very slender")
    for file, found in zip(data.files, inspections, strict=True):
        short, long = sorted((found.width, found.height))
        if not found.problem and (short < _SMALL or short * long > _HUGE or long > _SLENDER * short):
            odd.files.append((f"{found.width}x{found.height}", [file]))
    yield odd


def _traits(data: LabelledFiles, inspections: list[Inspection]) -> Iterator[Finding]:
    by_trait: dict[str, list[str]] = {}
    for file, found in zip(data.files, inspections, strict=True):
        for trait in found.traits:
            by_trait.setdefault(trait, []).append(file)
    for trait, files in sorted(by_trait.items()):
        severity: Severity = "warning" if trait.startswith("wrong") else "note"
        title = trait if severity == "warning" else f"{trait}, {_TREATMENTS.get(trait, 'converted when read')}"
        yield Finding(severity, title, [("", [file]) for file in files])


def _exchanged(data: LabelledFiles, inspections: list[Inspection]) -> Iterator[Finding]:
    known = [(found.balance, index) for index, found in enumerate(inspections) if found.balance is not None]
    evidence = exchanged_colours([balance for balance, _ in known])
    if evidence is None:
        return
    bluest = sorted(known, key=lambda item: item[0].red - item[0].blue)[:_EXAMPLES]
    yield Finding(
        "warning",
        "red and blue may be exchanged",
        [("as it is, and exchanged", [data.files[index]]) for _, index in bluest],
        advice=f"{evidence}; if the exchanged pictures are right, write the files again (cv2.imwrite takes BGR)",
        exchange=True,
    )


def excluded(findings: Iterable[Finding]) -> list[str]:
    """Collect the files that are better left out.

    Args:
        findings: The findings.

    Returns:
        Paths, sorted, each once.
    """
    return sorted({file for finding in findings for file in finding.exclude})

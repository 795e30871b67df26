"""Photographs without labels, to be classified: files, folders, patterns and lists."""

import os
from collections.abc import Iterator
from glob import glob, has_magic

from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn

from datamodules.files.file_search import find_images
from datamodules.files.passed_over import PassedOver
from datamodules.files.path_spelling import url_refusal
from datamodules.layouts.table_file import TABLE_SUFFIXES
from datamodules.photographs.photograph_dataset import Photograph
from datamodules.photographs.photograph_list import read_photograph_list
from datamodules.reading.image_reader import reason_of


def list_photographs(entries: str | list[str] | None, cropping: bool) -> list[Photograph]:
    """List what ``predict`` is to classify.

    Args:
        entries: ``data.predict_dir``: files, folders, patterns and CSV lists.
        cropping: Whether boxes will be used, so that one which makes no sense is a reason against its photograph.

    Returns:
        Each file once, in the order of the entries, those of a folder sorted. A box that comes with a later mention
        of a file counts; further boxes of a file are counted and left out. What leads to no file takes a place too,
        with its reason.

    Raises:
        MisconfigurationException: If nothing is named.
    """
    named = [entry for entry in ([entries] if isinstance(entries, str) else entries or []) if entry]
    if not named:
        raise MisconfigurationException(
            "predict needs photographs: name files, folders, patterns or CSV lists after the run, or set "
            "data.predict_dir."
        )
    found: dict[str, Photograph] = {}
    passed = PassedOver()
    further: list[str] = []
    for entry in named:
        for photograph in _resolve(entry, cropping, passed):
            key = os.path.abspath(photograph.file)  # noqa: PTH100 - pathlib keeps the dots of ../
            known = found.setdefault(key, photograph)
            if known.box is None and not known.reason and photograph.box is not None:
                found[key] = Photograph(known.file, photograph.box)
            elif cropping and photograph.box not in (None, known.box) and not known.reason:
                further.append(photograph.file)
    if further:  # answers are known by the file
        rank_zero_warn(
            f"Boxes that are left out: {len(further)}, such as a second one of {further[0]}. Each photograph is "
            "answered once, by its first box: name others in another list, for another predict."
        )
    if passed.by_reason:
        rank_zero_info(f"Passed over in the folders to predict: {passed.summary()}.")
    return list(found.values())


def _resolve(entry: str, cropping: bool, passed: PassedOver) -> Iterator[Photograph]:
    """Follow an entry; what exists under a name is meant by it, also where the name looks like a pattern."""
    refusal = url_refusal(entry)
    if refusal:
        yield Photograph(entry, reason=f"it {refusal}")
        return
    if os.path.lexists(entry) or not has_magic(entry):
        yield from _expand(entry, cropping, passed)
        return
    matches = glob(entry, recursive=True)  # noqa: PTH207 - pathlib takes no absolute pattern
    places = {_place(match): match for match in sorted(matches, key=len, reverse=True)}  # ** follows links in circles
    for match in sorted(places.values()):
        yield from _expand(match, cropping, passed)
    if not matches:
        yield Photograph(entry, reason="matches no file")


def _place(path: str) -> str:
    folder, name = os.path.split(path)
    return os.path.join(os.path.realpath(folder), name)  # noqa: PTH118


def _expand(entry: str, cropping: bool, passed: PassedOver) -> Iterator[Photograph]:
    if os.path.isdir(entry):  # noqa: PTH112 - a pattern may match a million
        yield from _below(entry, passed)
    elif entry.lower().endswith(TABLE_SUFFIXES):
        yield from read_photograph_list(entry, cropping)
    else:
        yield Photograph(entry)


def _below(folder: str, passed: PassedOver) -> Iterator[Photograph]:
    closed: list[OSError] = []
    found = PassedOver()
    files = find_images(folder, found, closed.append)
    unreadable = found.take_pictures()
    yield from map(Photograph, files)
    for path, reason in unreadable:
        yield Photograph(path, reason=reason)
    for error in closed:
        yield Photograph(str(error.filename), reason=reason_of(error))
    if not files and not closed and not unreadable:
        yield Photograph(folder, reason="no images in this folder")
    passed.add(found)


def tell_boxes(photographs: list[Photograph], margin: float | None) -> None:
    """Check whether photographs are cut out along boxes as those were that the network was trained on.

    Args:
        photographs: The photographs.
        margin: Share of a box kept around it; None if the network was trained on whole pictures.
    """
    readable = [photograph for photograph in photographs if not photograph.reason]
    boxed = sum(photograph.box is not None for photograph in readable)
    if margin is None and boxed:
        rank_zero_info(f"The boxes of {boxed} photographs are ignored: the network was trained on whole pictures.")
    elif margin is not None and boxed:
        rank_zero_info(f"{boxed} photographs are cut out along their boxes, with data.box_margin {margin:g}.")
    if margin is not None and boxed < len(readable):
        rank_zero_warn(
            "The network was trained on pictures cut out along their boxes (data.crop_to_box); "
            f"{len(readable) - boxed} of these {len(readable)} photographs have none and are taken whole, which costs "
            "accuracy: a CSV list with path,x1,y1,x2,y2 gives boxes."
        )

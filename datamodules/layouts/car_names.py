"""The official classes of Stanford Cars, and how copies spell them."""

from pathlib import Path

from lightning.fabric.utilities.exceptions import MisconfigurationException

from datamodules.layouts.layout import Layout

# Devkit order: a label is a position in this list. Sorted folder names disagree with it for 143 of the 196 classes.
CAR_NAMES = Path(__file__).with_name("stanford_cars_classes.txt").read_text(encoding="utf-8").splitlines()


def _letters(name: str) -> str:
    """Reduce a name to what all copies agree on: 'Ram C/V ...' has a slash, which no folder can have."""
    return "".join(filter(str.isalnum, name.casefold()))


_INDEX = {_letters(name): index for index, name in enumerate(CAR_NAMES)}


def official_index(name: str) -> int | None:
    """Find a class by name, whatever the case and the punctuation.

    Args:
        name: A class or folder name.

    Returns:
        Its position in ``CAR_NAMES``, or None if it is not among them.
    """
    return _INDEX.get(_letters(name))


def in_official_order(layout: Layout, evaluation: bool = False) -> Layout:
    """Translate a copy's labels to the official list, by name.

    Args:
        layout: What was found on disk.
        evaluation: Whether classes come from a checkpoint, so that others than the official ones may be known to it.

    Returns:
        The layout with the 196 official classes, in an evaluation followed by its others; or as it was, if none of its
        classes is official and they come from a ``cars_meta.mat`` of its own.

    Raises:
        MisconfigurationException: If some classes aren't official, or two of them are the same.
    """
    index_of = {name: official_index(name) for name in layout.class_names}
    unknown = [name for name, index in index_of.items() if index is None]
    if len(unknown) == len(index_of) and layout.kind == "devkit":
        return layout
    if unknown and not evaluation:
        raise MisconfigurationException(
            f"{layout.folder} has the class {unknown[0]!r}, which is none of Stanford Cars' 196"
            + (f" (nor are {len(unknown) - 1} others)" if len(unknown) > 1 else "")
            + ": rename it, or use datamodules.ImageFolderDataModule, which takes any classes."
        )
    known = {name: index for name, index in index_of.items() if index is not None}
    if len(set(known.values())) < len(known):
        twice = next(name for name in known if sum(index == known[name] for index in known.values()) > 1)
        raise MisconfigurationException(f"{layout.folder} has the class {twice!r} twice, under two spellings.")
    known |= {name: index for index, name in enumerate(unknown, start=len(CAR_NAMES))}
    return layout.with_classes([*CAR_NAMES, *unknown], known)

"""Names of the parts of a data set."""

import re
from collections.abc import Iterable

from lightning.fabric.utilities.exceptions import MisconfigurationException

from datamodules.layouts.layout import Part

PARTS: tuple[Part, ...] = ("train", "val", "test")
_NAMES: dict[str, Part] = {
    **dict.fromkeys(("train", "training", "trn"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "validate", "dev", "development"), "val"),
    **dict.fromkeys(("test", "testing", "tst", "eval", "evaluation"), "test"),
}
# what stands beside them: training_set, train_labels.csv, train-00000-of-00002.parquet
_FILLERS = frozenset(
    {
        *("set", "data", "dataset", "split", "part", "images", "image", "imgs", "img", "photos", "pictures", "of"),
        *("labels", "label", "list", "annotations", "annotation", "annos", "metadata", "meta", "table", "files", "df"),
    }
)
# one of several files of a part, and the years of well-known sets
_NUMBERS = re.compile(r"-\d+-of-\d+$|(?<=[a-z])20\d\d$")


def part_of(name: str) -> Part | None:
    """Recognise the name of a part.

    Args:
        name: A folder's name, a file's without its suffix, or a value of a column ``split``.

    Returns:
        The part, whatever the case and the words around it; ``dev`` is ``val``, ``eval`` is ``test``. None if the name
        means something else.
    """
    plain = _NUMBERS.sub("", name.strip().casefold())
    words = [word for word in re.split(r"[\W_]+", plain) if word]
    meant = [word for word in words if word not in _FILLERS]
    joined = re.fullmatch(r"([a-z]+?)(set|data|images)", meant[0]) if len(meant) == 1 else None
    word = joined[1] if joined and meant[0] not in _NAMES else "".join(meant)
    return _NAMES.get(word) if len(meant) == 1 else None


def by_part(names: Iterable[str], place: object) -> dict[Part, str]:
    """Map parts to the names that mean them.

    Args:
        names: Names of folders.
        place: Where they are, for the message.

    Returns:
        A name for each part that has one, in the order train, val, test.

    Raises:
        MisconfigurationException: If two names mean the same part.
    """
    found: dict[Part, str] = {}
    for name in names:
        part = part_of(name)
        if part is None:
            continue
        if part in found:
            raise MisconfigurationException(
                f"{place} has {found[part]} and {name}, which both mean the {part} part: rename or remove one of them."
            )
        found[part] = name
    return {part: found[part] for part in PARTS if part in found}

"""Records the division of a data set that had none, beside its photographs."""

from pathlib import Path

from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn

from datamodules.layouts import Layout, Part, write_split
from datamodules.remote.copied_folder import put_back
from datamodules.samples import Samples

TEST_FRACTION = 0.2
_TOLERANCE = 0.05  # classes have whole numbers of photographs, and some were added or deleted since


def record_division(
    layout: Layout, parts: dict[Part, Samples], root: Path, given: str, cache_dir: str | None = None
) -> bool:
    """Write the division into the layout's ``split_file``, so that the test set stays; warn where that can't be done.

    Args:
        layout: The data set, which has a ``split_file``.
        parts: The division.
        root: The data set on this machine.
        given: What was named: the same, or the URL that ``root`` is a copy of.
        cache_dir: Where copies are kept; None takes the user's cache.

    Returns:
        Whether this division counts: another command may have recorded one meanwhile, which counts then.
    """
    assert layout.split_file is not None
    try:
        if not write_split(layout.split_file, layout.base, parts, layout.class_names) or not put_back(
            layout.split_file, root, given, cache_dir
        ):
            rank_zero_info(f"{layout.split_file} was written by another command meanwhile: its division is used.")
            return False
    except (OSError, MisconfigurationException) as error:
        reason = getattr(error, "strerror", error)
        rank_zero_warn(f"Can't write {layout.split_file} ({reason}): new photographs will change the test set.")
    else:
        rank_zero_info(f"{layout.split_file} records which {len(parts['test'])} photographs are for testing.")
    return True


def compare_share(record: Path, parts: dict[Part, Samples], fraction: float) -> None:
    """Warn where a record keeps another share for testing than was asked for.

    Args:
        record: The file that records the division.
        parts: The recorded parts.
        fraction: ``data.test_fraction``; its default asks for nothing.
    """
    test, total = len(parts.get("test", ())), sum(map(len, parts.values()))
    if fraction != TEST_FRACTION and total and abs(test / total - fraction) > _TOLERANCE:
        rank_zero_warn(
            f"data.test_fraction={fraction:g} has no effect: {record} keeps {test} of {total} photographs for testing. "
            "Move it away to divide anew."
        )

"""A run on disk: one folder, and all that is in it."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Literal, TypeAlias

from lightning.fabric.utilities.exceptions import MisconfigurationException

from runs.checkpoints import epochs_of, newest_whole
from runs.commands import address, program
from runs.history import HISTORY, History

Keyword: TypeAlias = Literal["best", "last"]

CHECKPOINTS = "checkpoints"
CONFIG = "config.yaml"
RESUMED_CONFIG = "resume-config.yaml"
_NAMES = ("last.ckpt", "best.ckpt", "previous.ckpt")


@dataclass(frozen=True)
class Run:
    """A run: the files of one training and of its evaluations.

    Attributes:
        folder: Its folder, ``logs/<experiment>/<name>``. Its name and place may be any; nothing in it depends on them.
    """

    folder: Path

    @property
    def name(self) -> str:
        """The name of the run."""
        return self.folder.absolute().name

    @property
    def checkpoints(self) -> Path:
        """The folder of the checkpoints, which may not exist yet."""
        return self.folder / CHECKPOINTS

    @property
    def history(self) -> History:
        """When the run began, continued and ended."""
        return History(self.folder / HISTORY)

    @property
    def config(self) -> Path | None:
        """The config that the run was last trained with; None if it has none."""
        files = (self.folder / RESUMED_CONFIG, self.folder / CONFIG)
        return next((file for file in files if file.is_file()), None)

    @property
    def begun(self) -> float:
        """When the run began, in seconds since the epoch; of runs without a history, when its config was written."""
        first = next(iter(self.history.events()), None)
        if first is not None:
            return first.time
        config = self.folder / CONFIG
        return (config if config.is_file() else self.folder).stat().st_mtime

    def path_meant(self, path: str) -> Path:
        """Find what a path in its config means.

        Args:
            path: The path; if it is relative, it counts from the directory in which the run began, if it leads
                somewhere there, and else, as where a project has been moved, from the present one.

        Returns:
            The path, from here.
        """
        event = self.history.last("began")
        directory = event.facts.get("directory") if event else None
        meant = Path(directory) / path if isinstance(directory, str) else Path(path)
        return meant if meant.exists() else Path(path)

    def is_finished(self) -> bool:
        """Check whether the run has been trained to its end, by its history."""
        newest = self.history.last()
        return newest is not None and newest.kind == "finished"

    def epochs_done(self) -> int | None:
        """Read from the last checkpoint how many epochs have been trained; None if there is no readable one."""
        last = self.find_checkpoint("last")
        return None if last is None else epochs_of(last)

    def exists(self) -> bool:
        """Check whether a run has begun here: it has a history, or, if an older version began it, its checkpoints."""
        return self.history.file.is_file() or any((self.checkpoints / name).exists() for name in _NAMES)

    def find_checkpoint(self, keyword: Keyword) -> Path | None:
        """Find a checkpoint of the run.

        Args:
            keyword: ``best`` or ``last``. If the disk has damaged ``last.ckpt``, the one before takes its place.

        Returns:
            The file, or the folder of a sharded checkpoint; None if there is none.
        """
        return newest_whole(self.checkpoints, keyword)

    def checkpoint(self, keyword: Keyword) -> Path:
        """Find a checkpoint of the run, which must have one.

        Args:
            keyword: As in ``find_checkpoint``.

        Returns:
            The file, or the folder of a sharded checkpoint; ``last`` where a run has no ``best``, and the other way.

        Raises:
            MisconfigurationException: If the run has no checkpoint.
        """
        others: dict[Keyword, Keyword] = {"best": "last", "last": "best"}
        found = self.find_checkpoint(keyword) or self.find_checkpoint(others[keyword])
        if found is None:
            place = address(self.folder)
            raise MisconfigurationException(
                f"The run {place} has no checkpoints/{keyword}.ckpt yet: train it by {program()} fit {place}."
            )
        return found

    def evaluation_folders(self, kind: str) -> Iterator[Path]:
        """Name folders for a further evaluation, endlessly.

        The numbers of older ones that were removed are not used again: the highest is the newest evaluation, in copies
        of a run too, whose files have other times.

        Args:
            kind: ``test``, ``validate`` or ``predict``.

        Yields:
            ``test``, ``test-2``, ``test-3`` and so on, from the first after all that there are.
        """
        there = [evaluation_number(folder, kind) for folder in self.folder.glob(f"{kind}*")]
        for number in count(1 + max(there, default=0)):
            yield self.folder / (kind if number == 1 else f"{kind}-{number}")


def evaluation_number(folder: Path, kind: str) -> int:
    """Read the number of an evaluation from the name of its folder.

    Args:
        folder: The folder.
        kind: ``test``, ``validate`` or ``predict``.

    Returns:
        1 for ``test``, 2 for ``test-2`` and so on; 0 if it is none.
    """
    number = folder.name.removeprefix(f"{kind}-")
    return int(folder.name == kind) or (int(number) if number.isdecimal() and folder.name != number else 0)

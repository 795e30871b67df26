"""Finds the evaluations of a run, and tells those on its own data from those on other data."""

import json
import os
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from runs.checkpoints import step_of
from runs.run import CONFIG, Run, evaluation_number


class EvaluationFolder(NamedTuple):
    """An evaluation of a run.

    Attributes:
        folder: Its folder.
        root: Where its data lie, as its config says; None if that isn't known.
        elsewhere: Whether these are other data than the run's own.
    """

    folder: Path
    root: str | None
    elsewhere: bool


def evaluation_folders(run: Run, kind: str, file: str, own: str | None) -> list[EvaluationFolder]:
    """Find the evaluations of a kind.

    Args:
        run: The run.
        kind: ``test`` or ``validate``.
        file: What an evaluation has written, ``test_scores.json`` for instance.
        own: Where the run's own data lie; None doesn't tell other data from them.

    Returns:
        Those that have the file, the newest first: that with the highest number.
    """
    found = [*run.folder.glob(f"{kind}/{file}"), *run.folder.glob(f"{kind}-*/{file}")]
    found.sort(key=lambda path: evaluation_number(path.parent, kind), reverse=True)
    roots = [data_root(path.with_name(CONFIG)) for path in found]
    return [
        EvaluationFolder(path.parent, root, are_other_data(own, root)) for path, root in zip(found, roots, strict=True)
    ]


def own_before_others(found: list[EvaluationFolder]) -> list[EvaluationFolder]:
    """Put evaluations on the run's own data first, each kind in the order in which they come."""
    return sorted(found, key=lambda one: one.elsewhere)


def preferred(run: Run, found: list[EvaluationFolder], file: str) -> list[EvaluationFolder]:
    """Put the evaluations first that say most of a run: on its own data, and by its best checkpoint.

    Args:
        run: The run.
        found: Its evaluations.
        file: The name of their scores.

    Returns:
        The same, but those whose checkpoint has been replaced since, as where a tested run was trained on.
    """
    best = run.find_checkpoint("best")
    known = {None, best.name if best else None}
    used = [(one, evaluated_checkpoint(one.folder / file)) for one in found]
    current = [(one, checkpoint) for one, checkpoint in used if checkpoint.is_current(run)]
    return [one for one, _ in sorted(current, key=lambda pair: (pair[0].elsewhere, pair[1].name not in known))]


class EvaluatedCheckpoint(NamedTuple):
    """By what an evaluation was made.

    Attributes:
        name: The name of the checkpoint's file; None if it isn't known.
        step: How many optimizer steps it had, which the classifier logs; None if it isn't known.
    """

    name: str | None
    step: int | None

    def is_current(self, run: Run) -> bool:
        """Check whether the checkpoint of this name is still the same.

        Args:
            run: The run.

        Returns:
            Whether it is, as far as can be told: it may also have been removed.
        """
        if self.name is None or self.step is None or not (checkpoint := run.checkpoints / self.name).exists():
            return True
        return _step(checkpoint, checkpoint.stat().st_mtime_ns) in (None, self.step)


@lru_cache(maxsize=1024)
def _step(checkpoint: Path, changed: int) -> int | None:  # noqa: ARG001 - a part of the key
    return step_of(checkpoint)


def evaluated_checkpoint(scores: Path) -> EvaluatedCheckpoint:
    """Read by which checkpoint an evaluation was made.

    Args:
        scores: The file of its scores.

    Returns:
        What it says of it.
    """
    content = read_scores(scores)
    used, step = content.get("checkpoint"), content.get("step")
    return EvaluatedCheckpoint(
        Path(used).name if isinstance(used, str) else None, int(step) if isinstance(step, int | float) else None
    )


def read_scores(file: Path) -> dict[str, Any]:
    """Read a file of scores.

    Args:
        file: The file.

    Returns:
        Its content; nothing if it can't be read.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def data_root(config: Path | None) -> str | None:
    """Read where the data of a run or of an evaluation lie.

    Args:
        config: Its ``config.yaml``.

    Returns:
        ``data.root`` as it stands there; None if it can't be read, or there is none.
    """
    try:
        content: Any = yaml.safe_load(config.read_text(encoding="utf-8")) if config else None
    except (OSError, ValueError, yaml.YAMLError):
        return None
    for key in ("data", "init_args", "root"):
        content = content.get(key) if isinstance(content, dict) else None
    return content if isinstance(content, str) else None


def are_other_data(own: str | None, root: str | None) -> bool:
    """Check whether data are known to be others than a run's own.

    Args:
        own: Where the run's own lie; None if that isn't known.
        root: Where the data lie; None likewise.

    Returns:
        Whether they are, as far as can be told.
    """
    return bool(own and root and not is_same_place(own, root))


def is_same_place(root: str, other: str) -> bool:
    """Compare places of data; a relative path, whose working directory isn't known, is what ends like it.

    Args:
        root: A folder, table or URL.
        other: Another one.

    Returns:
        Whether they are the same, as far as can be told.
    """
    root, other = root.rstrip("/"), other.rstrip("/")
    if "://" in root + other or os.path.isabs(root) == os.path.isabs(other):  # noqa: PTH117
        return root == other or ("://" not in root + other and Path(root).resolve() == Path(other).resolve())
    short, long = sorted((os.path.normpath(root), os.path.normpath(other)), key=os.path.isabs)
    return f"/{long}".endswith(f"/{short}") or Path(short).resolve() == Path(long).resolve()

"""The name under which a database holds the search of a folder; no two folders share one."""

import json
import uuid
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from lightning.fabric.utilities.exceptions import MisconfigurationException

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

RUN = "run"  # the attribute of a trial that names its run
_FILE = "study.json"


def study_name(output: Path, storage: "BaseStorage") -> str:
    """Name the search of a folder, or find the name that it has.

    Args:
        output: The folder, which all machines share.
        storage: The database.

    Returns:
        The folder's own name with an id, which lies in the folder; of a folder that was begun before there were ids,
        its own name alone.

    Raises:
        MisconfigurationException: If the folder holds trials that aren't those of its search in the database.
    """
    file = output / _FILE
    has_trials = any(output.glob("trial-*"))
    if not file.exists() and not has_trials:
        _invent(file)
    name = _read(file) if file.exists() else output.name
    try:
        study = storage.get_study_id_from_name(name)
    except KeyError:
        if has_trials:
            raise MisconfigurationException(
                f"{output} holds trials, but the database of --storage has no search {name}: repeat the command with "
                "the --storage that it began with, or without one if it began so, or choose another --output."
            ) from None
        return name
    if not file.exists() and not _holds(output, storage, study):
        raise MisconfigurationException(
            f"The search {name} in the database of --storage has its best trial in another folder than {output}, with "
            "which it was shared since both have one name: choose another --output."
        )
    return name


def refuse_folder_of_database(output: Path) -> None:
    """Refuse a search without a database in the folder of one that has one.

    Args:
        output: The folder.

    Raises:
        MisconfigurationException: If it is such a folder.
    """
    if (output / _FILE).exists():
        raise MisconfigurationException(
            f"{output} holds a search in a database ({output / _FILE}): repeat the command with its --storage, or "
            "choose another --output."
        )


def _invent(file: Path) -> None:
    """Write a new name down, unless another machine is the first to do so."""
    name = f"{file.parent.name}-{uuid.uuid4().hex[:8]}"
    draft = file.with_name(f".{name}.json")
    draft.write_text(json.dumps({"study": name}) + "\n", encoding="utf-8")
    try:
        file.hardlink_to(draft)  # which, other than renaming, fails if the file is there
    except FileExistsError:
        pass
    except OSError:  # a file system without links
        draft.replace(file)
    draft.unlink(missing_ok=True)


def _read(file: Path) -> str:
    try:
        return str(json.loads(file.read_text(encoding="utf-8"))["study"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise MisconfigurationException(
            f"Can't read the name of the search in {file} ({type(error).__name__}): choose another --output."
        ) from error


def _holds(output: Path, storage: "BaseStorage", study: int) -> bool:
    """Check whether the run of a search's best trial is in a folder, or that of any, if none has finished."""
    trials = storage.get_all_trials(study, deepcopy=False)
    with suppress(ValueError):
        trials = [storage.get_best_trial(study)]
    return any((output / trial.user_attrs[RUN]).exists() for trial in trials if RUN in trial.user_attrs)

"""A database through which several machines work on one search."""

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from lightning.fabric.utilities.exceptions import MisconfigurationException

from command_line.sweeping.study_name import study_name

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

_EVERY = 30  # seconds between two signs of life of a trial
_GRACE = 120  # seconds without one after which a trial counts as left behind
_ATTEMPTS, _PAUSE = 5, 0.5  # each table of a new database may just be made by another process, too


class DatabaseClaims:
    """Claims through a database: the process of a trial shows every 30 seconds that it lives.

    Args:
        url: The database's URL, as SQLAlchemy takes it.
        output: The folder of the search, which all machines share.
        put_back: Called with the study and a trial whose process has given no sign of life, once on all machines.

    Attributes:
        storage: The database.
        study_name: The search's name, which has an id of the folder.
        several_machines: True.

    Raises:
        MisconfigurationException: If the URL holds a password, or the folder trials that the database doesn't know.
    """

    several_machines = True

    def __init__(self, url: str, output: Path, put_back: "Callable[[Study, FrozenTrial], None]") -> None:
        from optuna.exceptions import ExperimentalWarning
        from optuna.storages import RDBStorage
        from sqlalchemy.exc import IntegrityError, ProgrammingError

        self._shown = 0.0
        try:
            has_password = urlsplit(url).password is not None
        except ValueError:
            has_password = False
        if has_password:
            raise MisconfigurationException(
                "--storage holds a password, which others could read: leave it out, and set PGPASSWORD or ~/.pgpass."
            )

        for left in reversed(range(_ATTEMPTS)):
            try:
                with warnings.catch_warnings(action="ignore", category=ExperimentalWarning):
                    self.storage: Any = RDBStorage(
                        url, heartbeat_interval=_EVERY, grace_period=_GRACE, heartbeat_stale_trial_callback=put_back
                    )
                break
            except (IntegrityError, ProgrammingError):
                if not left:
                    raise
                time.sleep(_PAUSE)
        self.study_name = study_name(output, self.storage)

    def alone(self) -> AbstractContextManager[None]:
        """Do nothing: the database takes one change after the other.

        Returns:
            A context that does nothing.
        """
        return nullcontext()

    def find_left(self, study: "Study") -> None:
        """End the trials whose processes have given no sign of life for two minutes, and put them back.

        Args:
            study: The study.
        """
        from optuna.storages import fail_stale_trials

        fail_stale_trials(study)

    def take(self, number: int) -> None:
        """Show at once that a trial's process lives.

        Args:
            number: The number of the trial.
        """
        self._shown = 0.0
        self.show_life(number)

    def show_life(self, number: int) -> None:
        """Show that the process of a trial lives, at most every 30 seconds.

        Args:
            number: The number of the trial.
        """
        if time.monotonic() - self._shown < _EVERY:
            return
        study = self.storage.get_study_id_from_name(self.study_name)
        self.storage.record_heartbeat(self.storage.get_trial_id_from_study_id_trial_number(study, number))
        self._shown = time.monotonic()

    def release(self) -> None:
        """Do nothing: a trial that has ended needs no sign of life."""


@contextmanager
def answering(url: str | None) -> Iterator[None]:
    """Say in one sentence what is wrong with a database.

    Args:
        url: Its URL; None for a search without one.

    Yields:
        Nothing.

    Raises:
        MisconfigurationException: If its driver is missing, or it doesn't answer.
    """
    if url is None:
        yield
        return
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

    try:
        yield
    except (ModuleNotFoundError, ArgumentError, NoSuchModuleError) as error:
        raise MisconfigurationException(
            f"--storage is {url} ({_shortly(error)}): write postgresql+psycopg://USER@HOST/DATABASE, and "
            "pip install 'carspotter[postgresql]'."
        ) from error
    except (StorageInternalError, SQLAlchemyError) as error:
        raise MisconfigurationException(
            f"The database of --storage doesn't answer ({_shortly(error.__cause__ or error)}): repeat the command when "
            "it does; trainings that have begun continue."
        ) from error


def _shortly(error: BaseException) -> str:
    return " ".join(str(error).split("(Background")[0].split())[:200].rstrip(".")

"""A database through which several machines work on one search."""

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from lightning.fabric.utilities.exceptions import MisconfigurationException

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

_EVERY = 30  # seconds between two signs of life of a trial
_GRACE = 120  # seconds without one after which a trial counts as left behind


class Database:
    """The database of a search, in which each trial shows that its process lives.

    Args:
        url: Its URL, as SQLAlchemy takes it.
        search: The name of the search.
        left: Called with the study and a trial whose process has given no sign of life, once on all machines.

    Raises:
        MisconfigurationException: If the URL holds a password.
    """

    def __init__(self, url: str, search: str, left: "Callable[[Study, FrozenTrial], None]") -> None:
        from optuna.exceptions import ExperimentalWarning
        from optuna.storages import RDBStorage

        self._search, self._beaten = search, 0.0
        try:
            has_password = urlsplit(url).password is not None
        except ValueError:
            has_password = False
        if has_password:
            raise MisconfigurationException(
                "--storage holds a password, which others could read: leave it out, and set PGPASSWORD or ~/.pgpass."
            )
        with warnings.catch_warnings(action="ignore", category=ExperimentalWarning):
            self.storage: Any = RDBStorage(
                url, heartbeat_interval=_EVERY, grace_period=_GRACE, heartbeat_stale_trial_callback=left
            )

    def beat(self, number: int) -> None:
        """Show that the process of a trial lives, at most every 30 seconds.

        Args:
            number: The number of the trial.
        """
        if time.monotonic() - self._beaten < _EVERY:
            return
        study = self.storage.get_study_id_from_name(self._search)
        self.storage.record_heartbeat(self.storage.get_trial_id_from_study_id_trial_number(study, number))
        self._beaten = time.monotonic()

    def find_left(self, study: "Study") -> None:
        """Look for trials whose processes have given no sign of life for two minutes.

        Args:
            study: The study.
        """
        from optuna.storages import fail_stale_trials

        self._beaten = 0.0  # the next trial begins
        fail_stale_trials(study)


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

"""Who trains which trial: each is claimed by the process that trains it, so that those left behind can be found."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from lightning.fabric.utilities.exceptions import MisconfigurationException

from runs.history import Lock

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial


class Claims(Protocol):
    """How the processes of a search know of each other.

    Attributes:
        storage: Where Optuna keeps the search, as its ``create_study`` takes it.
        study_name: The search's name there.
        several_machines: Whether the processes may be on several machines.
    """

    storage: Any
    study_name: str
    several_machines: bool

    def alone(self) -> AbstractContextManager[None]:
        """Keep other processes from looking at the trials, and from taking or ending one, meanwhile.

        Returns:
            A context.
        """

    def find_left(self, study: "Study") -> None:
        """End the trials whose processes are gone, and put them back.

        Args:
            study: The study.
        """

    def take(self, number: int) -> None:
        """Claim a trial.

        Args:
            number: Its number.
        """

    def show_life(self, number: int) -> None:
        """Show that the process of a trial lives.

        Args:
            number: The number of the trial.
        """

    def release(self) -> None:
        """Give up the trial that was taken last."""


class FileClaims:
    """Claims on one machine: a lock for each trial, which ends with its process.

    Args:
        output: The folder of the search.
        put_back: Called with the study and each trial that was left behind.

    Attributes:
        storage: A file in the folder.
        study_name: The same in all folders.
        several_machines: False.
    """

    study_name = "sweep"
    several_machines = False

    def __init__(self, output: Path, put_back: "Callable[[Study, FrozenTrial], None]") -> None:
        self.storage: Any = f"sqlite:///{output / 'study.db'}"
        self._folder, self._put_back = output / ".claims", put_back
        self._taken: Lock | None = None

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other processes from looking at the trials, and from taking or ending one, meanwhile.

        Yields:
            Nothing.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        while True:
            lock = Lock(self._folder)
            try:
                lock.__enter__()
                break
            except MisconfigurationException:
                time.sleep(0.1)
        try:
            yield
        finally:
            lock.__exit__()

    def find_left(self, study: "Study") -> None:
        """End the running trials that nobody claims, and put them back.

        Args:
            study: The study.
        """
        from optuna.trial import TrialState

        for left in study.get_trials(states=[TrialState.RUNNING]):
            if not self.is_claimed(left.number):
                self._put_back(study, left)
                study.tell(left.number, state=TrialState.FAIL)

    def is_claimed(self, number: int) -> bool:
        """Check whether a process trains a trial.

        Args:
            number: The number of the trial.

        Returns:
            Whether one does.
        """
        try:
            with self._lock(number):
                return False
        except MisconfigurationException:
            return True

    def take(self, number: int) -> None:
        """Claim a trial.

        Args:
            number: Its number.
        """
        self._taken = self._lock(number)
        self._taken.__enter__()

    def show_life(self, number: int) -> None:
        """Do nothing, since the lock shows it.

        Args:
            number: The number of the trial.
        """

    def release(self) -> None:
        """Give up the trial that was taken last."""
        if self._taken is not None:
            self._taken.__exit__()
        self._taken = None

    def _lock(self, number: int) -> Lock:
        folder = self._folder / str(number)
        folder.mkdir(parents=True, exist_ok=True)
        return Lock(folder)

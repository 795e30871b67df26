"""A run in object storage, and its copy on this machine."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from filecmp import cmp
from pathlib import Path
from tempfile import NamedTemporaryFile

from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.utilities import rank_zero_warn

from command_line.remote_runs.pins import pinned
from command_line.remote_runs.same_states import NO_FILE, Same, SameStates, State, digest_of, state_of
from datamodules.remote.storage import Storage
from runs.history import is_running
from runs.run import CHECKPOINTS

_NOT_KEPT = (f"{CHECKPOINTS}/previous.ckpt",)  # for disks that damage files

_CLAIM = ".claimed"
_ATTEMPTS = 5


class Mirror:
    """Keeps a run on this machine and in object storage alike.

    A file is uploaded as a whole, from a local one that is whole. Checkpoints go last, and are those that were there
    before anything else was read: whatever ends an upload, the curves there are never older than the checkpoint.

    Args:
        url: The folder of the run in object storage.
        folder: The folder of its copy.

    Attributes:
        storage: The folder in object storage.
        states: In which states both were the same.
    """

    def __init__(self, url: str, folder: Path) -> None:
        self.storage = Storage(url)
        self.url, self.folder = self.storage.url, folder
        self.states = SameStates(self.url)
        self._seen: set[str] = set()

    def fetch(self, wanted: Callable[[str], bool] = lambda _: True, listed: dict[str, str] | None = None) -> None:
        """Copy what has changed there.

        Args:
            wanted: Which files are needed, by their names below the folder.
            listed: What ``Storage.files`` has listed; where it shows anything new, the storage is asked again.

        Raises:
            MisconfigurationException: If a file has changed on both sides, or the storage can't be read.
        """
        kept = []
        with self.states.opened() as states:
            if listed is None or not _is_all_known(listed, states, wanted):
                listed = self.storage.files()  # now that nothing is uploaded from here
            for name in states.keys() - listed.keys():  # somebody has removed it; what is here is uploaded again
                del states[name]
            for name, version in sorted(listed.items()):
                if not wanted(name) or _is_left_out(name):
                    continue
                file, known = self.folder / name, states.get(name)
                here, changed = state_of(file), known is None or not known.may_be(version)
                if here is not None and not changed:
                    continue  # what has changed here since is uploaded later
                if self._is_kept(here, known):
                    kept += [name] * (changed and known is not None and not known.is_unanswered())
                    continue
                draft = file.with_name(f".{file.name}.fetched")
                file.parent.mkdir(parents=True, exist_ok=True)
                try:
                    version = self._fetch(name, draft, version)
                    if not version:
                        rank_zero_warn(f"{self.url}/{name} changes faster than it is read, and is left out.")
                        continue
                    if here is not None and known is not None and known.may_be(digest_of(draft)):
                        states[name] = Same(version, NO_FILE)  # it did arrive, though the answer didn't
                        continue
                    if self._is_kept(here, known):  # by a training that has begun meanwhile
                        continue
                    changed_here = here is not None and (known is None or known.state != here)
                    if changed_here and not cmp(draft, file, shallow=False):
                        raise MisconfigurationException(
                            f"{self.url}/{name} and its copy {file} have both changed since they were the same: two "
                            f"machines went on with this run. Remove {self.folder} to take what is in the storage."
                        )
                    draft.replace(file)
                finally:
                    draft.unlink(missing_ok=True)
                state = state_of(file)
                assert state is not None
                states[name] = Same(version, state)
                self.states.write(states)
        if kept:
            rank_zero_warn(
                f"Another machine has changed {self.url}/{kept[0]}, but a training runs in {self.folder}: its files "
                "are taken as they are."
            )

    def _is_kept(self, here: State | None, known: Same | None) -> bool:
        """Check whether a file is one that a training may be writing to, or has just removed."""
        return (here is not None or known is not None) and is_running(self.folder)

    def replace(self, name: str) -> None:
        """Copy a file as it is there, whatever is here.

        Args:
            name: Its name below the folder.

        Raises:
            MisconfigurationException: If the storage can't be read.
        """
        file = self.folder / name
        draft = file.with_name(f".{file.name}.fetched")
        with self.states.opened() as states:
            try:
                version = self._fetch(name, draft, self.storage.version(name))
                if not version:
                    raise MisconfigurationException(f"{self.url}/{name} changes faster than it is read.")
                draft.replace(file)
            finally:
                draft.unlink(missing_ok=True)
            states[name] = Same(version, state_of(file) or NO_FILE)

    def _fetch(self, name: str, draft: Path, version: str) -> str:
        """Copy a file, no part of a checkpoint in another version; return the version, empty if that can't be had."""
        for _ in range(_ATTEMPTS):
            self.storage.fetch(name, draft)
            now = self.storage.version(name) if name.startswith(f"{CHECKPOINTS}/") else version
            if now == version:
                return version
            version = now
        return ""

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Mark the run as one that is written to, so that what prevents that shows at once.

        Yields:
            Nothing.

        Raises:
            MisconfigurationException: If the storage can't be written to.
        """
        with NamedTemporaryFile() as empty:
            self.storage.put(Path(empty.name), _CLAIM)
        try:
            yield
        finally:
            with suppress(MisconfigurationException):
                self.storage.remove(_CLAIM, patience=0.0)

    def upload(self) -> None:
        """Copy what has changed here.

        Raises:
            MisconfigurationException: If the storage can't be written to, or files on this machine can't be read.
        """
        try:
            self._upload()
        except OSError as error:
            raise MisconfigurationException(
                f"Can't upload {self.folder} to {self.url}: {error.filename or 'a file'}: {error.strerror}."
            ) from error

    def _upload(self) -> None:
        with self.states.opened() as states:
            changed = [
                (name, state) for name, state in self._files() if name not in states or states[name].state != state
            ]
            checkpoints = [name for name, _ in changed if name.startswith(f"{CHECKPOINTS}/")]
            with ExitStack() as pins:
                kept = {name: pins.enter_context(pinned(self.folder, name)) for name in checkpoints}
                for name, state in sorted(changed, key=lambda item: item[0] in kept):
                    with ExitStack() as pin:
                        file = kept.get(name) or pin.enter_context(pinned(self.folder, name))
                        if not file.exists():
                            continue  # another has taken its place meanwhile
                        states[name] = Same.sent(file, states.get(name))
                        self.states.write(states)
                        self.storage.put(file, name)
                        states[name] = Same(self.storage.version(name), state)
                        self.states.write(states)

    def tidy(self) -> None:
        """Remove there what was removed here; nothing may be written at that time.

        Raises:
            MisconfigurationException: If the storage can't be written to.
        """
        with self.states.opened() as states:
            for name in sorted(self._seen & states.keys()):  # not what somebody else removed from this machine's cache
                if name.startswith(f"{CHECKPOINTS}/") and not (self.folder / name).exists():
                    self.storage.remove(name)
                    del states[name]

    def _files(self) -> Iterator[tuple[str, State]]:
        for file in sorted(self.folder.rglob("*")):
            name = file.relative_to(self.folder).as_posix()
            state = None if _is_left_out(name) else state_of(file)
            if state is not None:
                self._seen.add(name)
                yield name, state


def _is_left_out(name: str) -> bool:
    """Leave drafts and locks out, whose names begin with a dot."""
    return name in _NOT_KEPT or any(part.startswith(".") for part in name.split("/"))


def _is_all_known(listed: dict[str, str], states: dict[str, Same], wanted: Callable[[str], bool]) -> bool:
    names = [name for name in listed if wanted(name) and not _is_left_out(name)]
    same = all(name in states and states[name].may_be(listed[name]) for name in names)
    return same and states.keys() <= listed.keys()

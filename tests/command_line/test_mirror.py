"""Both sides of a run in object storage stay the same, whatever goes wrong in between."""

import errno
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fsspec.implementations.memory import MemoryFileSystem  # type: ignore[import-untyped]
from lightning.fabric.utilities.exceptions import MisconfigurationException

from command_line.remote_runs import uploads
from command_line.remote_runs.mirror import Mirror
from runs.history import is_running


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mirror:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("datamodules.remote.storage._PATIENCE", 0.0)
    MemoryFileSystem.store.clear()
    (tmp_path / "run/checkpoints").mkdir(parents=True)
    return Mirror("memory://bucket/run", tmp_path / "run")


def put(folder: Path, **files: str) -> None:
    for name, content in files.items():
        (folder / name.replace("__", "/")).write_text(content)


def stored() -> dict[str, str]:
    return {
        name.removeprefix("/bucket/run/"): file.getvalue().decode() for name, file in MemoryFileSystem.store.items()
    }


def test_what_changes_is_uploaded_once_and_drafts_and_the_checkpoint_before_never(mirror: Mirror) -> None:
    put(mirror.folder, a="1", b="2", checkpoints__last="3", **{".draft-x": "4", "checkpoints__previous.ckpt": "5"})
    mirror.upload()
    assert stored() == {"a": "1", "b": "2", "checkpoints/last": "3"}
    MemoryFileSystem.store.clear()
    put(mirror.folder, a="12")
    mirror.upload()
    assert stored() == {"a": "12"}
    assert not list(mirror.folder.rglob(".pin*"))


def test_checkpoints_go_last_and_are_no_newer_than_the_rest(mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    put(mirror.folder, curve="1", checkpoints__last="1")
    order = []
    before = mirror.storage.put

    def slowly(file: Path, name: str) -> None:
        order.append(name)
        before(file, name)
        put(mirror.folder, curve="2")  # training goes on meanwhile
        (mirror.folder / "checkpoints/draft").write_text("2")
        (mirror.folder / "checkpoints/draft").replace(mirror.folder / "checkpoints/last")

    monkeypatch.setattr(mirror.storage, "put", slowly)
    mirror.upload()
    assert order == ["curve", "checkpoints/last"]
    assert stored() == {"curve": "1", "checkpoints/last": "1"}
    mirror.upload()
    assert stored() == {"curve": "2", "checkpoints/last": "2"}


@pytest.mark.parametrize("arrived", [True, False])
def test_an_answer_that_is_lost_is_no_other_machine(
    mirror: Mirror, monkeypatch: pytest.MonkeyPatch, *, arrived: bool
) -> None:
    put(mirror.folder, curve="1")
    mirror.upload()
    before = mirror.storage.put

    def lost(file: Path, name: str) -> None:
        if arrived:
            before(file, name)
        raise MisconfigurationException("no answer")

    monkeypatch.setattr(mirror.storage, "put", lost)
    for content in ("12", "123"):
        put(mirror.folder, curve=content)
        with pytest.raises(MisconfigurationException, match="no answer"):
            mirror.upload()
        arrived = False
    put(mirror.folder, curve="1234")
    again = Mirror(mirror.url, mirror.folder)
    again.fetch()
    assert (mirror.folder / "curve").read_text() == "1234"
    again.upload()
    assert stored() == {"curve": "1234"}


def test_what_both_sides_have_changed_is_refused_and_what_one_has_is_taken(mirror: Mirror, tmp_path: Path) -> None:
    put(mirror.folder, a="1", b="1")
    mirror.upload()
    other = Mirror(mirror.url, tmp_path / "other")
    other.states.file = tmp_path / "other.json"
    other.fetch()
    put(other.folder, a="other")
    other.upload()
    put(mirror.folder, b="mine")
    mirror.fetch()
    assert (mirror.folder / "a").read_text() == "other"
    mirror.upload()
    assert stored() == {"a": "other", "b": "mine"}
    put(other.folder, b="theirs")
    with pytest.raises(MisconfigurationException, match="b and its copy .* have both changed"):
        other.fetch()
    assert (other.folder / "b").read_text() == "theirs"


def test_what_was_removed_there_is_uploaded_again_and_a_checkpoint_removed_here_is_removed_there(
    mirror: Mirror,
) -> None:
    put(mirror.folder, a="1", checkpoints__epoch_1="2", checkpoints__epoch_2="3")
    mirror.upload()
    MemoryFileSystem.store.pop("/bucket/run/a")
    mirror.fetch()
    (mirror.folder / "checkpoints/epoch_1").unlink()
    mirror.upload()
    mirror.tidy()
    assert stored() == {"a": "1", "checkpoints/epoch_2": "3"}
    (mirror.folder / "checkpoints/epoch_2").unlink()  # by somebody who cleans a cache
    Mirror(mirror.url, mirror.folder).tidy()
    assert "checkpoints/epoch_2" in stored()


def test_a_full_disk_keeps_nothing_from_the_storage(mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "somewhere")

    put(mirror.folder, curve="1", checkpoints__last="1")
    with monkeypatch.context() as disk:
        disk.setattr("command_line.remote_runs.pins.shutil.copyfile", full)
        disk.setattr("runs.whole_file.tempfile.mkstemp", full)
        mirror.upload()
    assert stored() == {"curve": "1", "checkpoints/last": "1"}
    assert not list(mirror.folder.rglob(".pin*"))
    again = Mirror(mirror.url, mirror.folder)
    again.fetch()
    put(mirror.folder, curve="2")
    again.upload()
    assert stored() == {"curve": "2", "checkpoints/last": "1"}


def test_a_disk_that_fails_is_one_sentence_and_uploads_go_on(mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "_FIRST", 0.01)
    monkeypatch.setattr(uploads, "_EVERY", 0.01)
    put(mirror.folder, curve="1")

    failed = threading.Event()

    def fail(*_: object, **__: object) -> None:
        failed.set()
        raise OSError(errno.EIO, os.strerror(errno.EIO), "curve")

    broken = pytest.MonkeyPatch()
    broken.setattr("command_line.remote_runs.pins.shutil.copyfile", fail)

    def train() -> None:
        with uploads.uploading(mirror):
            assert failed.wait(60)
            assert "curve" not in stored()
            broken.undo()

    with pytest.warns(UserWarning, match="curve: Input/output error. Training goes on"):
        train()
    assert stored() == {"curve": "1"}


def test_no_file_is_put_together_from_two_versions(
    mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(mirror.folder, checkpoints__last="11")
    mirror.upload()
    other = Mirror(mirror.url, tmp_path / "other")
    before, reads = other.storage.fetch, []

    def in_parts(name: str, file: Path) -> None:
        before(name, file)
        reads.append(name)
        if len(reads) == 1:  # the second half comes after training has gone on
            put(mirror.folder, checkpoints__last="222")
            mirror.upload()
            file.write_text("12")

    monkeypatch.setattr(other.storage, "fetch", in_parts)
    other.states.file = tmp_path / "other.json"
    other.fetch()
    assert (tmp_path / "other/checkpoints/last").read_text() == "222"
    assert len(reads) == 2


@pytest.mark.parametrize("ahead", [False, True])
def test_what_a_training_here_uploads_after_a_listing_is_no_change_of_another_machine(
    mirror: Mirror, *, ahead: bool
) -> None:
    curve = mirror.folder / "curve"
    with curve.open("ab", buffering=0) as training:
        training.write(b"1")
        mirror.upload()
        other = Mirror(mirror.url, mirror.folder)
        listed = other.storage.files()
        training.write(b"2")
        put(mirror.folder, preview="1")
        mirror.upload()
        put(mirror.folder, preview="2")
        training.write(b"3" * ahead)
        other.fetch(listed=listed)
        training.write(b"4")
        mirror.upload()
    assert stored() == {"curve": "1234" if ahead else "124", "preview": "2"}


def test_an_old_listing_in_which_all_is_known_is_enough(mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    put(mirror.folder, a="1", checkpoints__last="1")
    mirror.upload()
    listed = {**mirror.storage.files(), "checkpoints/best": "of no interest"}
    monkeypatch.setattr(mirror.storage, "files", lambda: pytest.fail("asked again"))
    mirror.fetch(lambda name: not name.endswith("best"), listed)


@contextmanager
def training_in(folder: Path) -> Iterator[None]:
    """Hold a run's lock in another process, as a training does, without the seconds that its imports take."""
    code = (
        "import fcntl, sys; file = open(sys.argv[1], 'w'); fcntl.lockf(file, fcntl.LOCK_EX); print(flush=True); input()"
    )
    holder = [sys.executable, "-c", code, str(folder / ".lock")]
    with subprocess.Popen(holder, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        assert is_running(folder)
        try:
            yield
        finally:
            process.communicate(b"\n")


def test_no_file_of_a_running_training_is_replaced_or_brought_back(
    mirror: Mirror, tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    put(mirror.folder, curve="1", checkpoints__epoch_1="1")
    mirror.upload()
    other = Mirror(mirror.url, tmp_path / "other")
    other.states.file = tmp_path / "other.json"
    other.fetch()
    with training_in(mirror.folder):
        (mirror.folder / "checkpoints/epoch_1").unlink()  # a better one has taken its place
        mirror.fetch()
        assert not [warning for warning in recwarn if warning.category is UserWarning]
        put(other.folder, curve="theirs", test_scores="theirs")
        other.upload()
        inode = (mirror.folder / "curve").stat().st_ino
        with pytest.warns(UserWarning, match="Another machine has changed memory://bucket/run/curve, but a training"):
            mirror.fetch()
        put(mirror.folder, curve="mine")
        with pytest.warns(UserWarning, match="its files are taken as they are"):
            mirror.fetch()
        assert (mirror.folder / "curve").stat().st_ino == inode
        assert (mirror.folder / "test_scores").read_text() == "theirs"
        assert not (mirror.folder / "checkpoints/epoch_1").exists()
    with pytest.raises(MisconfigurationException, match=r"have both changed.*Remove"):
        mirror.fetch()

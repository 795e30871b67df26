"""Lists of samples, made once on each machine."""

import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from lightning.fabric.utilities.exceptions import MisconfigurationException

from datamodules.once_a_node import once_a_node
from datamodules.samples import Samples
from tests.support.processes import run_devices

PROCESSES = 3
LISTED = Samples(np.array(["a.jpg", "öl/b.jpg", "c.jpg"]), np.array([2, 0, 1]), groups=np.array([0, 0, 1]))


def on_each(make: Callable[[], Samples]) -> list[Any]:
    """Call ``once_a_node`` in the threads of a machine, as if each were a process; return results and errors."""
    barrier = threading.Barrier(PROCESSES)
    results: list[Any] = [None] * PROCESSES
    strategy = SimpleNamespace(broadcast=lambda _: "token", barrier=barrier.wait)

    def begin(rank: int) -> None:
        trainer: Any = SimpleNamespace(
            world_size=PROCESSES, num_devices=PROCESSES, local_rank=rank, node_rank=0, strategy=strategy
        )
        try:
            results[rank] = once_a_node(make, trainer)
        except MisconfigurationException as error:
            results[rank] = error

    threads = [threading.Thread(target=begin, args=(rank,)) for rank in range(PROCESSES)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    return results


def test_one_process_lists_and_all_map(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    calls = []
    for samples in on_each(lambda: calls.append(1) or LISTED):  # type: ignore[func-returns-value]
        assert samples.files.tolist() == LISTED.files.tolist()
        assert samples.labels.tolist() == [2, 0, 1]
        assert samples.groups.tolist() == [0, 0, 1]
        assert samples.boxes is None
        assert not samples.files.flags.writeable
    assert len(calls) == 1
    assert not any(tmp_path.iterdir())


def test_all_processes_refuse_what_one_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))

    calls = []

    def refuse() -> Samples:
        calls.append(1)
        raise MisconfigurationException("Übel: no images.")

    assert [str(error) for error in on_each(refuse)] == ["Übel: no images."] * PROCESSES
    assert len(calls) == 1
    assert not any(tmp_path.iterdir())


def test_each_lists_where_nothing_can_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path / "file"))
    calls = []
    for samples in on_each(lambda: calls.append(1) or LISTED):  # type: ignore[func-returns-value]
        assert samples.files.tolist() == LISTED.files.tolist()
    assert len(calls) == PROCESSES


@pytest.mark.slow
def test_both_devices_of_a_machine_map_the_same_list(arguments: list[str], tmp_path: Path, toy_root: Path) -> None:
    probe = ["--trainer.callbacks+=tests.support.probes.MappedFiles", f"--trainer.callbacks.folder={tmp_path}"]
    run_devices(["fit", *arguments, "--trainer.max_epochs=1", *probe], 2)
    maps = [(tmp_path / f"maps{rank}").read_text().splitlines() for rank in range(2)]
    assert sorted(maps[0]) == sorted(maps[1])
    names = {line.partition("/")[2] for line in maps[0]}
    assert names == {f"{name}.npy (deleted)" for name in ("files", "labels", "boxes")}
    folders = {f"carspotter-{line.partition('/')[0]}" for line in maps[0]}
    assert not folders & {path.name for path in Path(tempfile.gettempdir()).iterdir()}

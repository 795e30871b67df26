"""Checkpoints are copied at once and written behind the training."""

import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning import Trainer
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.plugins.io import AsyncCheckpointIO

from callbacks.saving import background_writer
from callbacks.saving.background_writer import BackgroundWriter, copied, writes_behind
from runs.checkpoints import newest_whole
from runs.whole_file import publish, set_damaged_aside
from tests.runs.test_resume import assert_same


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Hold the thread back before it writes, until the event is set."""
    go, write = threading.Event(), background_writer.write

    def wait_and_write(checkpoint: dict[str, Any], path: Path) -> None:
        assert go.wait(30)
        write(checkpoint, path)

    monkeypatch.setattr(background_writer, "write", wait_and_write)
    return go


def test_what_changes_after_the_call_is_not_in_the_file(tmp_path: Path, held: threading.Event) -> None:
    writer = BackgroundWriter()
    content: dict[str, Any] = {"weights": {"w": torch.ones(3)}, "callbacks": {"best": ["a"]}, "step": 1}
    writer.save_checkpoint(content, tmp_path / "last.ckpt")
    content["weights"]["w"].add_(1)
    content["callbacks"]["best"].append("b")
    assert list(tmp_path.iterdir()) == []
    held.set()
    writer.teardown()
    written = torch.load(tmp_path / "last.ckpt", weights_only=True)
    assert_same(written, {"weights": {"w": torch.ones(3)}, "callbacks": {"best": ["a"]}, "step": 1}, "")
    assert [path.name for path in tmp_path.iterdir()] == ["last.ckpt"]


def test_one_waits_while_another_is_written_and_a_third_is_waited_for(tmp_path: Path, held: threading.Event) -> None:
    writer = BackgroundWriter()
    for step in (1, 2):
        writer.save_checkpoint({"step": step}, tmp_path / "last.ckpt")  # returns, though nothing has been written
    third = threading.Thread(target=writer.save_checkpoint, args=({"step": 3}, tmp_path / "last.ckpt"))
    third.start()
    third.join(0.2)
    assert third.is_alive()
    held.set()
    third.join(30)
    writer.teardown()
    assert torch.load(tmp_path / "last.ckpt", weights_only=True) == {"step": 3}
    assert torch.load(tmp_path / "previous.ckpt", weights_only=True) == {"step": 2}


def test_a_failure_is_raised_by_the_next_call_and_once(tmp_path: Path) -> None:
    (tmp_path / "folder").write_text("a file")
    writer = BackgroundWriter()
    writer.save_checkpoint({"step": 1}, tmp_path / "folder/last.ckpt")
    with pytest.raises(MisconfigurationException, match=r"Can't write the checkpoint .*last.ckpt: "):
        writer.teardown()
    writer.save_checkpoint({"step": 2}, tmp_path / "last.ckpt")
    writer.teardown()
    assert torch.load(tmp_path / "last.ckpt", weights_only=True) == {"step": 2}


def test_copies_keep_versions_and_shared_memory() -> None:
    norm = torch.nn.BatchNorm2d(3)
    whole = torch.arange(6.0)
    content = copied({"state_dict": norm.state_dict(), "parts": [whole[:3], whole[3:]]})
    assert vars(content["state_dict"]) == vars(norm.state_dict())  # versions of the layers
    first, second = content["parts"]
    assert first.untyped_storage().data_ptr() == second.untyped_storage().data_ptr() != whole.data_ptr()


def test_other_ways_of_saving_are_left_alone(tmp_path: Path) -> None:
    quiet: dict[str, Any] = {"accelerator": "cpu", "default_root_dir": tmp_path, "enable_progress_bar": False}

    class Reader(TensorBoardLogger):
        def after_save_checkpoint(self, checkpoint_callback: Any) -> None:
            """Upload the file."""

    assert writes_behind(Trainer(logger=False, **quiet))
    assert writes_behind(Trainer(logger=TensorBoardLogger(tmp_path), **quiet))
    assert not writes_behind(Trainer(logger=Reader(tmp_path), **quiet))
    assert not writes_behind(Trainer(logger=False, plugins=[AsyncCheckpointIO()], **quiet))


def test_a_damaged_file_takes_the_place_of_no_whole_one(tmp_path: Path) -> None:
    for name, step in (("previous", 1), ("last", 2), ("draft", 3)):
        torch.save({"step": step}, tmp_path / f"{name}.ckpt")
    (tmp_path / "last.ckpt").write_bytes(b"damaged")
    resumed = newest_whole(tmp_path, "last")
    assert resumed == tmp_path / "previous.ckpt"
    set_damaged_aside(resumed, tmp_path)
    assert newest_whole(tmp_path, "last") == tmp_path / "previous.ckpt"
    publish(tmp_path / "draft.ckpt", tmp_path / "last.ckpt")
    assert torch.load(tmp_path / "previous.ckpt", weights_only=True) == {"step": 1}
    assert torch.load(tmp_path / "last.ckpt", weights_only=True) == {"step": 3}
    assert (tmp_path / "damaged.ckpt").read_bytes() == b"damaged"
    set_damaged_aside(tmp_path / "last.ckpt", tmp_path)
    assert (tmp_path / "last.ckpt").exists()

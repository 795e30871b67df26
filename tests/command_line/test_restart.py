"""A command on a run that is started again while the process before still ends."""

import os
from pathlib import Path

import pytest
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException

from command_line.place import hold
from command_line.start import Start
from runs.run import Run


def save(run: Run, step: int, name: str = "last") -> Path:
    file = run.checkpoints / f"{name}.ckpt"
    file.parent.mkdir(parents=True, exist_ok=True)
    stored = {"hyper_parameters": {"backbone": "resnet18", "class_names": ["a"]}, "global_step": step}
    torch.save(stored, file)
    os.utime(file, ns=(step, step))
    return file


def test_a_run_that_a_killed_process_still_saves_goes_on_from_what_it_has_saved(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    last = save(run, 3)
    for saved, expected in ((3, 3), (5, 5)):
        start = Start(folder=run.folder, run=run, checkpoint=last, step=3)
        start.note_saved(run)
        save(run, saved)  # before the lock is free
        with hold(start, [], training=True):
            assert start.step == expected


def test_a_first_checkpoint_that_comes_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    run.folder.mkdir()
    start = Start(folder=run.folder, run=run, step=0)
    start.note_saved(run)
    with hold(start, [], training=True):
        pass
    run.folder.mkdir(exist_ok=True)
    save(run, 5)
    with pytest.raises(MisconfigurationException, match="meanwhile, and has ended"), hold(start, [], training=True):
        pass
    start = Start(folder=run.folder, run=run, checkpoint=save(run, 3, "previous"), step=3)
    start.note_saved(run)
    save(run, 7)
    with pytest.raises(MisconfigurationException, match="start the command again"), hold(start, [], training=True):
        pass

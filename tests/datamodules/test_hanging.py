"""No process waits for ever: loading processes that hang or are killed, on one device and on two."""

import multiprocessing
import os
import signal
import subprocess
import sys
from typing import Any

import pytest
from lightning import Callback, LightningModule, Trainer

from tests.support.checkout import CHECKOUT
from tests.support.processes import free_port

pytestmark = pytest.mark.slow


class LoaderFailure(Callback):
    """Stops or kills the loading processes of a device after its first step.

    Args:
        number: The signal.
        rank: The device.
    """

    def __init__(self, number: int, rank: int = 0) -> None:
        self.number, self.rank = number, rank

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        if trainer.global_step == 1 and trainer.global_rank == self.rank:
            for process in multiprocessing.active_children():
                assert process.pid
                os.kill(process.pid, self.number)


def command(arguments: list[str], number: int, rank: int = 0) -> list[str]:
    return [
        sys.executable, "train.py", "fit", *arguments, "--data.num_workers=1", "--data.timeout=4",
        "--trainer.max_epochs=4", "--trainer.callbacks+=tests.datamodules.test_hanging.LoaderFailure",
        f"--trainer.callbacks.number={int(number)}", f"--trainer.callbacks.rank={rank}",
    ]  # fmt: skip


def run_to_its_end(typed: list[str]) -> tuple[int, str]:
    surroundings = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(CHECKOUT)}
    done = subprocess.run(typed, cwd=CHECKOUT, env=surroundings, capture_output=True, text=True, timeout=100)
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("number", "cause"),
    [
        (signal.SIGSTOP, "No batch was loaded for 4 seconds: "),
        (signal.SIGKILL, "was ended by the signal Killed, as where memory is short: "),
    ],
)
def test_a_loading_process_that_is_lost_ends_the_command_in_one_line(
    arguments: list[str], number: signal.Signals, cause: str
) -> None:
    code, errors = run_to_its_end(command(arguments, number))
    assert code == 1, errors
    lines = [line for line in errors.splitlines() if "error" in line.lower()]
    assert len(lines) == 1, errors
    assert cause in lines[0]
    assert "--ckpt_path last" in lines[0]
    assert "Traceback" not in errors


@pytest.mark.parametrize("launcher", ["Lightning", "torchrun"])
def test_devices_end_together_where_one_waits_for_ever(launcher: str, arguments: list[str]) -> None:
    typed = command(arguments, signal.SIGSTOP, rank=1)
    if launcher == "torchrun":
        port = f"--master_port={free_port()}"
        typed = [typed[0], "-m", "torch.distributed.run", "--nproc_per_node=2", port, "--", *typed[1:]]
    strategy = ["--config=configs/strategy/ddp.yaml", "--trainer.accelerator=cpu", "--trainer.devices=2"]
    code, errors = run_to_its_end([*typed, *strategy])
    assert code != 0
    assert errors.count("No batch was loaded for 4 seconds: ") == 1, errors

"""How many processes load images."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from datamodules import ToyCarsDataModule
from datamodules.loading import worker_count
from datamodules.loading.shared_slots import AHEAD
from datamodules.loading.worker_count import choose_workers, usable_cores

BATCH = 32 * 3 * 400 * 400


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., None]:
    def pretend(cores: int, quota: str | None = None, shared: float = 1e12) -> None:
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)), raising=False)
        file = tmp_path / "cpu.max"
        if quota is not None:
            file.write_text(quota)
        monkeypatch.setattr(worker_count, "_QUOTA", file)
        monkeypatch.setattr(worker_count, "_SHARED_MEMORY", tmp_path)
        monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=shared))

    return pretend


@pytest.mark.parametrize(
    ("cores", "devices", "gpu", "expected"),
    [
        (1, 1, True, 1), (2, 1, True, 2), (16, 1, True, 15), (64, 1, True, 16), (64, 8, True, 7), (4, 8, True, 1),
        (2, 1, False, 1), (16, 1, False, 2), (64, 1, False, 8), (64, 4, False, 2),
    ],
)  # fmt: skip
def test_cores_are_shared(machine: Callable[..., None], cores: int, devices: int, gpu: bool, expected: int) -> None:
    machine(cores)
    assert choose_workers(devices, gpu, BATCH).number == expected


def test_cores_that_slurm_has_bound_to_a_task_are_its_own(
    machine: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "8")
    machine(8)
    for tasks in ("4", "4(x2)", "4,2"):
        monkeypatch.setenv("SLURM_STEP_TASKS_PER_NODE", tasks)
        assert choose_workers(4, True, BATCH) == (7, "8 cores of this task")
    monkeypatch.setenv("SLURM_STEP_TASKS_PER_NODE", "1")  # for all devices: torchrun, or a shell
    assert choose_workers(4, True, BATCH) == (2, "8 cores, 4 devices")
    monkeypatch.delenv("SLURM_STEP_TASKS_PER_NODE")  # sbatch without srun
    assert choose_workers(4, True, BATCH).number == 2
    monkeypatch.setenv("SLURM_STEP_TASKS_PER_NODE", "4")
    machine(32)  # unbound: all tasks of the machine see all its cores
    assert choose_workers(4, True, BATCH).number == 7


def test_a_containers_quota_counts(machine: Callable[..., None]) -> None:
    machine(64, "400000 100000\n")
    assert usable_cores() == 4
    machine(64, "50000 100000\n")
    assert usable_cores() == 1
    machine(64, "max 100000\n")
    assert usable_cores() == 64


def test_batches_fit_into_shared_memory(machine: Callable[..., None]) -> None:
    machine(16, shared=64e6)  # as in Docker
    number, reason = choose_workers(1, computed_elsewhere=True, batch_bytes=BATCH // 3)
    assert number == 2
    assert number * AHEAD * BATCH // 3 < 64e6
    assert reason.endswith("has 64 MB")
    none, advice = choose_workers(1, computed_elsewhere=True, batch_bytes=BATCH)
    assert none == 0
    assert advice.endswith("has 64 MB; containers get more by docker run --shm-size 8g")


def test_the_data_module_asks(machine: Callable[..., None], toy_data: Callable[..., Any]) -> None:
    machine(24)
    data: ToyCarsDataModule = toy_data(num_workers=None, batch_size=4)
    data.prepare_data()
    data.setup("fit")
    assert data.train_dataloader().num_workers == data.val_dataloader().num_workers == 3
    assert toy_data(num_workers=1).num_workers == 1

"""How many processes load images, where the user has not set it."""

import os
import re
import shutil
from pathlib import Path
from typing import NamedTuple

from datamodules.loading.shared_slots import AHEAD

_MOST = 16
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108
_QUOTA = Path("/sys/fs/cgroup/cpu.max")


class WorkerCount(NamedTuple):
    """A number of loading processes.

    Attributes:
        number: For each device.
        reason: Why so many.
    """

    number: int
    reason: str


def usable_cores() -> int:
    """Count the cores that this process may use: those of its CPU affinity, within a container's quota.

    Returns:
        At least 1.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = _QUOTA.read_text().split()
        cores = min(cores, int(quota) // int(period))
    except (OSError, ValueError):  # there is no container, or no quota in it ("max")
        pass
    return max(1, cores)


def _is_bound_task(cores: int, devices: int) -> bool:
    """Check whether SLURM has started a task for each device, and bound this one to cores of its own."""
    given = os.environ.get("SLURM_CPUS_PER_TASK", "")
    tasks = re.match(r"\d+", os.environ.get("SLURM_STEP_TASKS_PER_NODE", ""))  # "4", or "4(x2)" on two nodes
    # one task for all devices (torchrun, an interactive shell) hands its variables down to all of its processes
    return tasks is not None and int(tasks[0]) == devices and given.isdecimal() and cores <= int(given)


def choose_workers(devices: int, computed_elsewhere: bool, batch_bytes: int) -> WorkerCount:
    """Choose a number of loading processes.

    On a GPU, loading may take all cores but one; a network that computes on the CPU needs them itself, and takes so few
    images a second that one core in eight keeps up. Batches lie in shared memory, of which containers have little
    (Docker: 64 MB), and a worker that finds none is killed.

    Args:
        devices: Devices of this machine that the run uses.
        computed_elsewhere: Whether they are GPUs.
        batch_bytes: Size of a batch of one device in bytes.

    Returns:
        The number.
    """
    cores = usable_cores()
    bound = _is_bound_task(cores, devices)
    share = cores if bound else cores // devices
    wanted = min(_MOST, share - (share > 2)) if computed_elsewhere else min(_MOST, share // 8)
    wanted = max(1, wanted)
    reason = f"{cores} core{'s' * (cores != 1)}"
    if devices > 1:
        reason += " of this task" if bound else f", {devices} devices"
    if _SHARED_MEMORY.is_dir():
        free = shutil.disk_usage(_SHARED_MEMORY).free
        fitting = int(0.9 * free) // (devices * AHEAD * max(1, batch_bytes))
        if fitting < wanted:
            advice = "" if fitting else "; containers get more by docker run --shm-size 8g"
            return WorkerCount(fitting, f"{_SHARED_MEMORY} has {free / 1e6:.0f} MB{advice}")
    return WorkerCount(wanted, reason)

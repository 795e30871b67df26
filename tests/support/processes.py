"""The command line in processes of its own: one, or one for each device as torchrun would start them."""

import multiprocessing
import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import chdir, suppress
from multiprocessing import forkserver
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import DupFd
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
import torch.utils.tensorboard

import command_line.run_command  # noqa: F401 - which each process would import for itself, as all below
from command_line.trainings import member_runs
from tests.support.checkout import CHECKOUT
from train import main

with suppress(ImportError):  # Lightning asks whether a path is object storage
    import s3fs  # type: ignore[import-untyped]  # noqa: F401

TIMEOUT = 300


def start(
    arguments: list[str], environment: dict[str, str] | None = None, file_size: int = resource.RLIM_INFINITY
) -> BaseProcess:
    """Start the command line in a process that inherits nothing, but has imported everything.

    Files may grow to ``file_size`` bytes, as on a disk that is full.
    """
    # the server has the environment of the test that it was started in
    storage = {name: value for name, value in os.environ.items() if name.startswith(("AWS_", "XDG_CACHE_HOME"))}
    environment = storage | (environment or {})
    return forked(_run, arguments, environment, file_size)


def forked(target: Callable[..., None], *arguments: Any) -> BaseProcess:
    """Call a function in a process that inherits nothing, but has imported everything."""
    process = server_that_has_imported().Process(target=target, args=arguments, daemon=False)
    process.start()
    return process


def server_that_has_imported() -> multiprocessing.context.ForkServerContext:
    """Start the process that others are forked from, unless it runs: it imports what lies in its folder."""
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["tests.support.processes"])
    with chdir(CHECKOUT):
        forkserver.ensure_running()
    return processes


def outcome(arguments: list[str], **options: Any) -> int | None:
    """Run the command line in a process, and return its exit code."""
    process = start(arguments, **options)
    process.join(TIMEOUT)
    return process.exitcode


def free_port() -> int:
    """Find a port on which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def start_devices(arguments: list[str], devices: int, strategy: str = "ddp") -> list[BaseProcess]:
    """Start a process for each device, with the environment that torchrun gives them."""
    common: dict[str, str | int] = {
        "WORLD_SIZE": devices,
        "LOCAL_WORLD_SIZE": devices,
        "GROUP_RANK": 0,
        "MASTER_PORT": free_port(),
    }
    common |= {"MASTER_ADDR": "127.0.0.1", "TORCHELASTIC_RUN_ID": "test", "TORCHELASTIC_USE_AGENT_STORE": "False"}
    options = [*arguments, "--config", f"configs/strategy/{strategy}.yaml", "--trainer.accelerator=cpu"]
    return [
        start(
            [*options, f"--trainer.devices={devices}"],
            {name: str(value) for name, value in {**common, "RANK": rank, "LOCAL_RANK": rank}.items()},
        )
        for rank in range(devices)
    ]


def run_devices(arguments: list[str], devices: int, strategy: str = "ddp") -> None:
    """Run the command line on several devices to its end."""
    processes = start_devices(arguments, devices, strategy)
    for process in processes:
        process.join(TIMEOUT)
    codes = [process.exitcode for process in processes]
    for process in processes:
        process.kill()
    assert codes == [0] * devices


class ServedCommand:
    """What ``subprocess.Popen`` is for ``[sys.executable, script, *arguments]``, without the seconds of all imports.

    The command has the environment, the folder and the output of the process that starts it.

    Args:
        command: The command.
        leader: Whether it leads a group of processes of its own.
    """

    def __init__(self, command: Sequence[str], leader: bool = False) -> None:
        self._process = self._begun([*command[2:]], leader)
        self.pid = self._process.pid or 0

    def _begun(self, arguments: list[str], leader: bool) -> BaseProcess:
        return forked(_run_as_here, arguments, leader, dict(os.environ), str(Path.cwd()), _Output())

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired("train.py", timeout or 0)
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        if self._process.is_alive():
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)


class _Output:
    """Standard output and standard error on their way into another process."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _take_output, (DupFd(1), DupFd(2))


def _take_output(*descriptors: Any) -> None:
    for number, descriptor in enumerate(descriptors, start=1):
        taken = descriptor.detach()
        os.dup2(taken, number)
        os.close(taken)


def _run_as_here(arguments: list[str], leader: bool, environment: Mapping[str, str], folder: str, _: None) -> None:
    if leader:
        os.setsid()
    os.environ.clear()
    os.chdir(folder)
    _run(arguments, dict(environment), resource.RLIM_INFINITY)


class _ForkedCommand(ServedCommand):
    """The same for commands of a served process, which may be forked: it has trained nothing itself."""

    def _begun(self, arguments: list[str], leader: bool) -> BaseProcess:
        process = multiprocessing.get_context("fork").Process(target=_run_forked, args=(arguments,))
        process.start()
        return process


def _run_forked(arguments: list[str]) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # the parent passes signals on
    signal.signal(signal.SIGINT, signal.default_int_handler)
    _run(arguments, {}, resource.RLIM_INFINITY)


def _run(arguments: list[str], environment: dict[str, str], file_size: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (file_size, file_size))
    torch.set_num_threads(1)
    multiprocessing.set_start_method("fork", force=True)  # for loading processes, as where the command is typed
    os.environ.update(environment)
    sys.argv = ["train.py"]
    setattr(member_runs, "subprocess", SimpleNamespace(Popen=_ForkedCommand))  # noqa: B010 - a module's name
    main(arguments)

"""Trainings that belong together, one after the other, each a process and a run of its own."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import NamedTuple

import yaml
from lightning.fabric.utilities.exceptions import MisconfigurationException

from command_line.trainings.plan import keep_plan
from command_line.trainings.typed import Typed
from runs.commands import program, shown, typed_command
from runs.history import is_running
from runs.run import Run

_ROOT = Path(__file__).parent.parent.parent
_ENVIRONMENT = ("WORLD_SIZE", "SLURM_NTASKS")
_SECONDS = 1.0
_INTERRUPTED = (128 + signal.SIGINT, 128 + signal.SIGTERM, -signal.SIGINT, -signal.SIGTERM)


class Member(NamedTuple):
    """One of the trainings.

    Attributes:
        name: The name of its run.
        options: What it has besides the options that all have.
    """

    name: str
    options: tuple[str, ...]


def train_members(members: Sequence[Member], typed: Typed, options: Sequence[str], folder: Path) -> list[Run]:
    """Train what isn't trained yet; a training that was interrupted continues.

    Args:
        members: The trainings.
        typed: What was typed.
        options: Options of ``fit`` that all of them have.
        folder: Where their runs are; it belongs to these options alone.

    Returns:
        The finished runs.

    Raises:
        MisconfigurationException: If the folder has runs of other options, this is one process of several, or a
            training has ended before its time without a word.
        SystemExit: With its exit code, if a training fails or is interrupted.
    """
    be_the_only_process()
    named = {member.name: [*member.options] for member in members}
    keep_plan({"options": [*options], "settings": typed.settings, "members": named}, folder)
    runs = [Run(folder / member.name) for member in members]
    for number, (member, run) in enumerate(zip(members, runs, strict=True), start=1):
        wait_for_others(run)
        if run.is_finished():
            continue
        print(f"\n{number} of {len(members)}: {shown(run.folder)}", flush=True)  # noqa: T201 - which training follows
        start_command(fit_arguments(run, [*options, *member.options, *_precision_of(runs[0])]))
        if not run.is_finished():
            raise MisconfigurationException(
                f"The training {shown(run.folder)} has ended, but isn't finished: look at what it reported above."
            )
    return runs


def fit_arguments(run: Run, options: Sequence[str]) -> list[str]:
    """Write the command that begins a run, or continues it.

    Args:
        run: The run.
        options: Options of a run that begins.

    Returns:
        What follows ``train.py``.
    """
    if run.exists():
        return ["fit", str(run.folder)]
    experiment = run.folder.parent
    place = [f"--logs={experiment.parent}", f"--experiment={experiment.name}", f"--name={run.name}"]
    return ["fit", *options, *place]


def _precision_of(first: Run) -> list[str]:
    """Name the precision that was chosen for the first run, since a choice by timing may not be the same twice."""
    if first.config is None:
        return []
    trainer = yaml.safe_load(first.config.read_text(encoding="utf-8")).get("trainer") or {}
    return [f"--trainer.precision={trainer['precision']}"] if trainer.get("precision") else []


def start_command(arguments: Sequence[str]) -> None:
    """Run a command in a process of its own, and wait for it.

    Args:
        arguments: What follows ``train.py``.

    Raises:
        SystemExit: With its exit code, if that isn't 0.
    """
    with command_process(arguments) as child:
        code = child.wait()
    exit_interrupted(code)
    if code:
        sys.exit(code if code > 0 else 128 - code)


def exit_interrupted(code: int) -> None:
    """End as a training has ended that was asked to, and say how all of them continue.

    Args:
        code: The exit code of its process; others than those of signals do nothing.

    Raises:
        SystemExit: With the code.
    """
    if code in _INTERRUPTED:
        print(f"to continue all of it, repeat: {typed_command()}", flush=True)  # noqa: T201
        sys.exit(code if code > 0 else 128 - code)


def wait_for_others(run: Run) -> None:
    """Wait while another process trains a run: one of a command that was killed goes on without it.

    Args:
        run: The run.
    """
    if is_running(run.folder):
        print(f"{shown(run.folder)} is still trained by another process: waiting for it", flush=True)  # noqa: T201
    while is_running(run.folder):
        time.sleep(_SECONDS)


@contextmanager
def command_process(arguments: Sequence[str]) -> "Iterator[subprocess.Popen[bytes]]":
    """Start a command in a process of its own.

    Signals to end go to it, so that it ends by itself, as it does after its last checkpoint, before this one does.

    Args:
        arguments: What follows ``train.py``.

    Yields:
        The process.

    Raises:
        SystemExit: If this process was asked to end meanwhile, even where the other has ended as if it hadn't.
    """
    started = Path(sys.argv[0])  # the installed command, whose name then stands in what the child suggests
    script = started if started.name == program() and started.suffix == "" else _ROOT / program()
    script = script if script.is_file() else _ROOT / "carspotter.py"
    child = subprocess.Popen([sys.executable, str(script), *arguments])  # noqa: S603 - this very program

    asked: list[int] = []

    def pass_on(number: int, _: FrameType | None) -> None:
        asked.append(number)
        with suppress(ProcessLookupError):  # not SIGINT, which a terminal sends to both: two end a training at once
            child.send_signal(signal.SIGTERM)

    before = {number: signal.signal(number, pass_on) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield child
    finally:
        if child.poll() is None:
            child.terminate()
            child.wait()
        for number, handler in before.items():
            signal.signal(number, handler)
    if asked:
        code = child.poll()
        exit_interrupted(code if code in _INTERRUPTED else 128 + asked[0])


def be_the_only_process() -> None:
    """Refuse to be one of several processes, each of which would start the same trainings.

    Raises:
        MisconfigurationException: If a launcher has started several.
    """
    for name in _ENVIRONMENT:
        if os.environ.get(name, "1") != "1":
            raise MisconfigurationException(
                f"This command starts trainings of its own, but it is one of {os.environ[name]} processes ({name}): "
                "start it once, and let --trainer.devices say on how many devices they train."
            )

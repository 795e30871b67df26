"""Trainings that belong together, one after the other, each a process and a run of its own."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import NamedTuple

from lightning.fabric.utilities.exceptions import MisconfigurationException

from runs.commands import program, shown
from runs.run import Run
from runs.whole_file import write_atomically

_PLAN = "plan.json"
_ROOT = Path(__file__).parent.parent
_ENVIRONMENT = ("WORLD_SIZE", "SLURM_NTASKS")


class Member(NamedTuple):
    """One of the trainings.

    Attributes:
        name: The name of its run.
        options: What it has besides the options that all have.
    """

    name: str
    options: tuple[str, ...]


def train_members(members: Sequence[Member], options: Sequence[str], folder: Path) -> list[Run]:
    """Train what isn't trained yet; a training that was interrupted goes on.

    Args:
        members: The trainings.
        options: Options of ``fit`` that all of them have.
        folder: Where their runs are; it belongs to these options alone.

    Returns:
        The finished runs.

    Raises:
        MisconfigurationException: If the folder has runs of other options, or this is one process of several.
        SystemExit: With its exit code, if a training fails or is interrupted.
    """
    for name in _ENVIRONMENT:
        if os.environ.get(name, "1") != "1":
            raise MisconfigurationException(
                f"This command starts trainings of its own, but it is one of {os.environ[name]} processes ({name}): "
                "start it once, and let --trainer.devices say on how many devices they train."
            )
    _keep_plan(members, options, folder)
    runs = [Run(folder / member.name) for member in members]
    for number, (member, run) in enumerate(zip(members, runs, strict=True), start=1):
        newest = run.history.last()
        if newest is not None and newest.kind == "finished":
            continue
        print(f"\n{number} of {len(members)}: {shown(run.folder)}", flush=True)  # noqa: T201 - which training follows
        place = [f"--logs={folder.parent}", f"--experiment={folder.name}", f"--name={member.name}"]
        start_command(["fit", str(run.folder)] if run.exists() else ["fit", *options, *member.options, *place])
    return runs


def start_command(arguments: Sequence[str]) -> None:
    """Run a command in a process of its own, and wait for it.

    Args:
        arguments: What follows ``train.py``.

    Raises:
        SystemExit: With its exit code, if that isn't 0.
    """
    script = _ROOT / program()
    script = script if script.is_file() else _ROOT / "carspotter.py"
    child = subprocess.Popen([sys.executable, str(script), *arguments])  # noqa: S603 - this very program
    with _passing_signals_on(child):
        code = child.wait()
    if code:
        sys.exit(code if code > 0 else 128 - code)


@contextmanager
def _passing_signals_on(child: "subprocess.Popen[bytes]") -> Iterator[None]:
    """Let a process end by itself, as it does after its last checkpoint, before this one does."""

    def pass_on(number: int, _: FrameType | None) -> None:
        if number != signal.SIGINT:  # which a terminal sends to both
            with suppress(ProcessLookupError):
                child.send_signal(number)

    before = {number: signal.signal(number, pass_on) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _keep_plan(members: Sequence[Member], options: Sequence[str], folder: Path) -> None:
    """Write down what the folder is for, and refuse one that is for something else."""
    plan = {"options": [*options], "members": {member.name: [*member.options] for member in members}}
    file = folder / _PLAN
    try:
        before = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if folder.exists() and any(folder.iterdir()):
            raise MisconfigurationException(
                f"--output is {folder}, which holds something else already: choose another folder."
            ) from None
        write_atomically(file, json.dumps(plan, indent=1) + "\n")
        return
    except (OSError, ValueError) as error:
        raise MisconfigurationException(f"Can't read {file}: {error}. Choose another --output.") from error
    if before != plan:
        raise MisconfigurationException(
            f"{folder} holds trainings with other options ({file}): repeat the command as it was, or choose another "
            "--output."
        )

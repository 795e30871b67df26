"""One training of a search: a run in a process of its own, ended early where it falls behind."""

import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal, TypeAlias

import yaml

from command_line.trainings.member_runs import command_process, exit_interrupted, fit_arguments, wait_for_others
from runs.commands import next_command
from runs.curves import Curve, CurveReader
from runs.run import Run

Ending: TypeAlias = Literal["finished", "pruned", "failed"]

_SECONDS = 1.0


def train_trial(run: Run, options: Sequence[str], score: str, falls_behind: Callable[[Curve], bool]) -> Ending:
    """Train a run, or continue it, and watch its score.

    Args:
        run: The run, which may have begun earlier.
        options: Options of ``fit`` for a new one.
        score: The name of the score.
        falls_behind: Gets the score's values so far by optimizer step, and says whether to end the training.

    Returns:
        How the training ended; one that was killed is continued once.

    Raises:
        SystemExit: If the process was asked to end, and so was this one.
    """
    for _ in range(2):
        wait_for_others(run)
        if run.is_finished():
            return "finished"
        pruned = False
        with command_process(fit_arguments(run, options)) as child:
            reader = CurveReader(run.folder, score)
            while True:
                with suppress(subprocess.TimeoutExpired):
                    code = child.wait(_SECONDS)
                    break
                if not pruned and falls_behind(reader.read()):
                    pruned = True
                    child.terminate()
        falls_behind(reader.read())  # what the last moment has written
        if pruned and not run.is_finished():
            return "pruned"
        exit_interrupted(code)
        if code == 0:
            return "finished" if run.is_finished() else "failed"
        if code > 0:
            return "failed"
    return "failed"


def reproducing_config(run: Run, title: str, file: Path, experiment: str | None) -> str:
    """Write the config of a run so that a new run can be trained by it.

    Args:
        run: The run.
        title: Text of the comment that stands at the head.
        file: Where it is to be written.
        experiment: Where new runs are to lie; None for ``default``.

    Returns:
        YAML, without what names the run.
    """
    text = (run.folder / "config.yaml").read_text(encoding="utf-8")
    names = ("logs:", "experiment:", "name:")
    lines = [line for line in text.splitlines() if not line.startswith(names)]
    head = [f"# {title}", f"#   {next_command('fit --config', file)}"]
    head += yaml.safe_dump({"experiment": experiment}, allow_unicode=True).splitlines() if experiment else []
    return "\n".join([*(line.replace("\n", " ") for line in head), *lines]) + "\n"

"""Measures how long commands take until they answer, or until training begins.

python -m benchmarks.startup [--rounds 5]

Every side is a process of its own, from its start to its end: the bare import of PyTorch and of Lightning's command
line; help, a mistyped command and a mistyped option; the list of runs; the import of this project; and ``fit`` with the
drawn cars of configs/demo.yaml up to its first step, the data being there already.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.measuring.turns import Side, arguments, report, take_turns

_BARE = "import torch; from lightning.pytorch.cli import LightningCLI"
_DEMO = ["fit", "--config", "configs/demo.yaml", "--trainer.enable_progress_bar=false"]


def seconds(command: Sequence[str], code: int = 0) -> Callable[[], float]:
    """Measure a process.

    Args:
        command: What follows ``python``.
        code: The exit code that it has to have.

    Returns:
        Runs it once, and returns the seconds it took.
    """

    def measure() -> float:
        # not a pipe, which is open until loading processes have noticed, after five seconds, that theirs has ended
        with tempfile.TemporaryFile("w+") as output:
            began = time.perf_counter()
            done = subprocess.run([sys.executable, *command], stdout=output, stderr=output)  # noqa: S603
            took = time.perf_counter() - began
            if done.returncode != code:
                output.seek(0)
                raise SystemExit(f"{' '.join(command)} ended with {done.returncode}:\n{output.read()[-2000:]}")
        return took

    return measure


def main() -> None:
    """Run the command line."""
    options = arguments(__doc__).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        demo = [*_DEMO, f"--data.root={Path(folder) / 'toy_cars'}", f"--logs={Path(folder) / 'logs'}"]
        first_step = ["train.py", *demo, "--trainer.callbacks+=benchmarks.measuring.first_step.FirstStep"]
        sides = [
            Side("import torch and LightningCLI", seconds(["-c", _BARE])),
            Side("import torch", seconds(["-c", "import torch"])),
            Side("--help", seconds(["train.py", "--help"])),
            Side("fit --help", seconds(["train.py", "fit", "--help"])),
            Side("a mistyped command", seconds(["train.py", "fitt"], 2)),
            Side("a mistyped option", seconds(["train.py", "fit", "--model.backbonee=resnet18"], 2)),
            Side("runs", seconds(["train.py", "runs", folder])),
            Side("import carspotter", seconds(["-c", "import carspotter"])),
            Side("fit up to its first step", seconds(first_step)),
        ]
        for side in reversed(sides):
            side.measure()  # the last one draws the cars and begins a run; all compile what they import
        values = take_turns(sides, options.rounds)
        report("From the start of a process", "s", values, sides[0].name, options.json)


if __name__ == "__main__":
    main()

"""Runs the documented command in a process of its own."""

import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]


def call(*arguments: str) -> None:
    """Run ``python train.py`` silently, and end with what it said if it fails.

    Args:
        *arguments: What follows ``train.py``.

    Raises:
        SystemExit: With its last words, if it fails.
    """
    finished = subprocess.run(  # noqa: S603 - our own command line
        [sys.executable, "train.py", *arguments], cwd=CHECKOUT, capture_output=True, text=True, check=False
    )
    if finished.returncode:
        sys.exit(f"{' '.join(arguments)}\n{finished.stdout[-2000:]}\n{finished.stderr[-4000:]}")

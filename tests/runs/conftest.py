"""Fixtures of the tests of runs."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.short_runs import QUICK, Fit


@pytest.fixture
def fit(run: Callable[..., None], tmp_path: Path) -> Fit:
    """Train a run with a name, for one epoch: ``fit("trial_a")`` returns its folder."""

    def call(name: str, *extra: str) -> Path:
        run("fit", *QUICK, "--trainer.max_epochs=1", f"--name={name}", *extra)
        return tmp_path / "logs/demo" / name

    return call

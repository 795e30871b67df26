"""Schedules with which little is learned are named."""

import warnings
from typing import Any

import pytest

from command_line.number_rules import warn_of_schedule

MODEL = {"learning_rate": 0.001, "warmup_epochs": 1.0}
TRAINER = {"max_epochs": 2, "min_epochs": None}


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"learning_rate": 0.0}, "model.learning_rate is 0: nothing is learned"),
        ({"warmup_epochs": 99.0}, "model.warmup_epochs is 99 of 2 epochs"),
        ({"min_epochs": 5}, "trainer.min_epochs is 5, but training ends after 2 epochs"),
        ({}, None),
        ({"max_epochs": None, "min_epochs": 5}, None),
        ({"max_epochs": 0}, None),
    ],
)
def test_schedules_that_learn_little_are_named(changed: dict[str, Any], expected: str | None) -> None:
    model, trainer = ({key: changed.get(key, value) for key, value in known.items()} for known in (MODEL, TRAINER))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore", ResourceWarning)  # of what another test has left open
        warnings.simplefilter("always", UserWarning)
        warn_of_schedule(model, trainer)
    assert [str(warning.message) for warning in caught if expected and expected in str(warning.message)] == [
        str(warning.message) for warning in caught
    ]
    assert bool(caught) == bool(expected)

"""A search space is read, tried from end to end, and refused in one sentence before anything is trained."""

from pathlib import Path

import optuna
import pytest

from command_line.sweeping.space import Space, corners, read_space, values_in
from tests.support.searches import SPACE, command, quiet
from train import main

__all__ = ["quiet"]


def test_the_config_is_tried_first_if_the_space_has_it() -> None:
    space: Space = {"a": optuna.distributions.FloatDistribution(0.0005, 0.0105, step=0.002)}
    assert values_in(space, {"a": 0.001}) == {}
    assert values_in(space, {"a": 0.0025}) == {"a": 0.0025}
    assert values_in(space, {"a": 0.0125}) == {}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name: [a, b]", "leave --name out"),
        ("experiment: [a, b]", "leave --experiment out"),
        ("scores.enabled: [true, false]", "scores.enabled is false, but sweep compares"),
        ("trainer.fast_dev_run: [true]", "no training of sweep would be finished"),
        ("data.val_fraction: [0, 0.1]", "data.val_fraction may be 0 in the search space"),
        ("data.val_fraction: {low: 0.0, high: 0.2}", "data.val_fraction may be 0 in the search space"),
    ],
)
def test_a_space_is_refused_for_what_options_are_refused_for(
    toy_root: Path, tmp_path: Path, text: str, expected: str
) -> None:
    (tmp_path / "space.yaml").write_text(f"{text}\n")
    with pytest.raises(SystemExit) as stop:
        main(command(toy_root, tmp_path / "space.yaml", tmp_path / "out", "--trials=1"))
    assert expected in str(stop.value.code)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no options"),
        ("a: [", "is no YAML"),
        ("a: 3\n", "a is 3: it has to be a list of choices"),
        ("a: []\n", "there is nothing to choose from"),
        ("a: {low: 1, high: 2, steps: 1}\n", "a range has low, high, log and step, not steps"),
        ("a: {low: 1e-4, high: 2}\n", "1.0e-4 as a number"),
        ("a: {low: 3, high: 2}\n", "a is {'low': 3, 'high': 2}:"),
        ("a: {low: 0, high: 2, log: true}\n", "a is {'low': 0, 'high': 2, 'log': True}:"),
        ("a: [[1, 2]]\n", "choices have to be numbers, words"),
    ],
)
def test_a_wrong_space_is_answered_in_one_sentence(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "space.yaml"
    file.write_text(text)
    with pytest.raises(Exception, match="space.yaml") as error:
        read_space(file)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "extra", "message"),
    [
        ("model.learning_rat: [1]\n", [], "model.learning_rat"),
        ("trainer.max_epochs: [many]\n", [], "trainer.max_epochs"),
        (SPACE, ["--trials=0"], "--trials is 0: it has to be 1 or more"),
    ],
)
def test_what_no_training_takes_is_answered_before_the_first(
    toy_root: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], text: str, extra: list[str], message: str
) -> None:
    file = tmp_path / "space.yaml"
    file.write_text(text)
    with pytest.raises(SystemExit) as stop:
        main(command(toy_root, file, tmp_path / "sweep", *extra))
    assert message in f"{stop.value.code}{capfd.readouterr().err}"
    assert not (tmp_path / "sweep").exists()


def test_every_choice_and_both_ends_are_tried(tmp_path: Path) -> None:
    file = tmp_path / "space.yaml"
    file.write_text("a: {low: 1, high: 9}\nb: [x, null, true]\nc: {low: 0.5, high: 1.0, step: 0.25}\n")
    space = read_space(file)
    assert list(corners(space)) == [
        ["--a=1", "--b=x", "--c=0.5"],
        ["--a=9", "--b=null", "--c=1.0"],
        ["--a=1", "--b=true", "--c=0.5"],
    ]
    assert values_in(space, {"a": 3, "b": None, "c": 7.0}) == {"a": 3, "b": None}

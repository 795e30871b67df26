"""A value that an option or a class doesn't take is answered with its full name, and what it has to be."""

import json
from collections.abc import Callable
from typing import Any

import pytest

FLIP = {"class_path": "albumentations.HorizontalFlip", "init_args": {"p": "often"}}


@pytest.mark.parametrize(
    ("typed", "answer"),
    [
        ("--data.num_workers=[1]", "data.num_workers is [1]: it has to be an integer or null."),
        ("--data.root=[a]", "data.root is ['a']: it has to be text."),
        ("--unfreezing.epochs=[1, b]", "an item of unfreezing.epochs is b: it has to be an integer."),
        ("--model.optimizer=[sgd]", "model.optimizer is ['sgd']: it has to be 'adamw' or 'sgd'."),
        ("--trainer.gradient_clip_val=[1]", "trainer.gradient_clip_val is [1]: it has to be a number or null."),
        ("--data.eval_transforms=a.yaml", "data.eval_transforms is a.yaml: it has to be a file that exists, a list or"),
    ],
)
def test_the_option_has_its_full_name(typed: str, answer: str, mistake: Callable[..., str]) -> None:
    assert answer in mistake("fit", typed)


def test_the_class_of_an_argument_is_named(mistake: Callable[..., str]) -> None:
    stop: dict[str, Any] = {"class_path": "lightning.pytorch.callbacks.EarlyStopping", "init_args": {"monitor": 3}}
    assert "monitor of EarlyStopping is 3: it has to be text." in mistake("fit", f"--trainer.callbacks={[stop]}")
    stop["init_args"] = {"monitor": "val/f1", "patiens": 3}
    answer = mistake("fit", f"--trainer.callbacks={[stop]}")
    assert "'patiens' of EarlyStopping is not accepted. Did you mean 'patience'?" in answer


@pytest.mark.parametrize("command", ["fit", "preview"])
@pytest.mark.parametrize(
    ("step", "said"),
    [
        (FLIP, "albumentations.HorizontalFlip can't be built: p is 'often': Input should be a valid number"),
        ({"class_path": "albumentations.Resize", "init_args": {"height": -3, "width": 9}}, "height is -3: Inp"),
        ({"class_path": "datamodules.ColorJitter", "init_args": {"hue": "much", "p": 7}}, "hue is 'much': Input"),
        ({"class_path": "albumentations.OneOf", "init_args": {"transforms": [FLIP], "p": 1}}, "p is 'often': Input"),
    ],
)  # fmt: skip
def test_arguments_of_steps_are_answered_in_a_sentence(
    command: str, step: dict[str, Any], said: str, mistake: Callable[..., str]
) -> None:
    assert said in mistake(command, f"--data.train_transforms={json.dumps([step])}")

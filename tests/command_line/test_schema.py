"""The schema beside the configs is that of the parser, takes the configs of the project, and refuses mistakes."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.support.checkout import CHECKOUT

CONFIGS = sorted((CHECKOUT / "configs").rglob("*.yaml"))


@pytest.fixture(scope="module")
def validator() -> Any:
    schema = json.loads((CHECKOUT / "configs/schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.slow
def test_the_schema_is_that_of_the_parser() -> None:
    # in a process of its own: other tests define classes that the parser would name
    ask = "from command_line.help import stored_help; print(stored_help.schema(), end='')"
    answered = subprocess.run([sys.executable, "-c", ask], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    assert answered.stdout == (CHECKOUT / "configs/schema.json").read_text(encoding="utf-8"), "call make help-texts"


@pytest.mark.parametrize("file", CONFIGS, ids=lambda file: str(file.relative_to(CHECKOUT)))
def test_configs_name_the_schema_and_follow_it(file: Path, validator: Any) -> None:
    first, _, _ = file.read_text(encoding="utf-8").partition("\n")
    reference = first.removeprefix("# yaml-language-server: $schema=")
    assert (file.parent / reference).resolve() == CHECKOUT / "configs/schema.json"
    assert list(validator.iter_errors(yaml.safe_load(file.read_text(encoding="utf-8")))) == []


def test_the_config_of_a_run_follows_it(run: Callable[..., None], tmp_path: Path, validator: Any) -> None:
    run("fit", "--trainer.fast_dev_run=false", "--trainer.max_epochs=1", "--trainer.limit_train_batches=1")
    config = yaml.safe_load((tmp_path / "logs/demo/version_0/config.yaml").read_text(encoding="utf-8"))
    assert [error.message for error in validator.iter_errors(config)] == []


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"modell": {}}, "'modell' was unexpected"),
        ({"model": {"learning_rat": 1}}, "'learning_rat' was unexpected"),
        ({"model": {"optimizer": "adam"}}, "'adam' is not one of ['adamw', 'sgd']"),
        ({"data": {"init_args": {"batch_size": "many"}}}, "'many' is not of type 'integer'"),
        ({"data": {"init_args": {"batchsize": 3}}}, "'batchsize' was unexpected"),
        ({"early_stopping": {"patience": "long"}}, "'long' is not of type 'integer', 'null'"),
    ],
)
def test_mistakes_are_found(config: Any, message: str, validator: Any) -> None:
    assert message in " ".join(error.message for error in validator.iter_errors(config))


def test_data_modules_of_others_are_left_open(validator: Any) -> None:
    config = {"data": {"class_path": "mine.BirdsDataModule", "init_args": {"beaks": 2}}}
    assert list(validator.iter_errors(config)) == []

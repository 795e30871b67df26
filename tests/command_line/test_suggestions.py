"""What people type who come from other programs: one line with the name that it has here."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from fsspec.implementations.memory import MemoryFileSystem  # type: ignore[import-untyped]

from command_line.arguments.config_names import config_meant
from command_line.arguments.options import split_words
from command_line.arguments.other_names import COMMANDS, OPTIONS, command_meant, option_meant
from tests.support.checkout import CHECKOUT
from train import main

Mistake = Callable[..., str]


@pytest.fixture
def known(capsys: pytest.CaptureFixture[str]) -> set[str]:
    """All options of ``fit`` and ``test``, as the parser itself prints them."""
    names = {"config", "name"}  # which are no part of what is printed, or of what stays in it
    for command in ("fit", "test"):
        with pytest.raises(SystemExit):
            main([command, "--print_config"])
        for section, values in yaml.safe_load(capsys.readouterr().out).items():
            inner = values.get("init_args", values) if isinstance(values, dict) else {}
            names |= {section, *(f"{section}.{key}" for key in inner)}
    return names


def test_every_name_leads_to_an_option_that_exists(known: set[str]) -> None:
    assert OPTIONS.keys() - known == set()
    names = [name for others in OPTIONS.values() for name in others.split()]
    assert len(names) == len(set(names))
    for option, others in OPTIONS.items():
        for name in others.split():
            if name not in known:
                assert option_meant(name, known) == option
                assert option_meant(name.replace("_", "-"), known) == option
                assert option_meant(name.upper(), known) == option


def test_every_command_exists(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["nothing"])
    said = capsys.readouterr().err
    words = [word for others in COMMANDS.values() for word in others.split()]
    assert len(words) == len(set(words))
    assert not COMMANDS.keys() & set(words)
    for command, others in COMMANDS.items():
        assert f"'{command}'" in said
        assert {command_meant(word) for word in others.split()} == {command}
    slips = {
        "trian": "fit",
        "tets": "test",
        "predcit": "predict",
        "evalaute": "test",
        "Fti": "fit",
        "prevew": "preview",
    }
    assert {word: command_meant(word) for word in slips} == slips


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("--epochs 3", "trainer.max_epochs"),
        ("--lr=0.1", "model.learning_rate"),
        ("--batch-size 3", "data.batch_size"),
        ("--seed 3", "seed_everything"),
        ("-b 3", "data.batch_size"),
        ("--batch_sise 3", "data.batch_size"),
        ("--max-epochs 3", "trainer.max_epochs"),
        ("--trainer.max-epochs=3", "trainer.max_epochs"),
        ("--trainer.epochs=3", "trainer.max_epochs"),
        ("--model.lr 3", "model.learning_rate"),
        ("--data.imgsz 3", "image_size"),
        ("--data {files}", "data.root"),
        ("--data {files}/table.csv", "data.root"),
        ("--data ~/cars", "data.root"),
        ("--model resnet50", "model.backbone"),
        ("--checkpoint best.ckpt", "ckpt_path"),
        ("--tta true", "tta.enabled"),
        ("--unfreezing.epoch 3", "unfreezing.epochs"),  # a slip of the pen, where another program's epoch would fit
    ],
)
def test_options_of_other_programs(mistake: Mistake, options: str, expected: str, tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("path,label\na.jpg,a\n")
    assert mistake("fit", *options.format(files=tmp_path).split(" ")).endswith(f" Did you mean '{expected}'?")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("epochs: 3\n", "trainer.max_epochs"),
        ("trainer: {gpus: 3}\n", "trainer.devices"),
        ("model: {lr: 3}\n", "model.learning_rate"),
        ("model: resnet50\n", "model.backbone"),
        ("data: {init_args: {bs: 3}}\n", "batch_size"),
        ("data: /nowhere/cars\n", "data.root"),
    ],
)
def test_keys_of_other_programs(mistake: Mistake, text: str, expected: str, tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text(text)
    assert f" Did you mean '{expected}'?" in mistake("fit", f"--config={tmp_path / 'other.yaml'}")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("train --config configs/demo.yaml", "Did you mean 'fit'?"),
        ("evaluate", "Did you mean 'test'?"),
        ("classify", "Did you mean 'predict'?"),
        ("fti", "Did you mean 'fit'?"),
        ("configs/demo.yml", f"Did you mean 'fit --config {CHECKOUT}/configs/demo.yaml'?"),
        ("--epochs 3", "Put the command before its options, as in: train.py fit --epochs ..."),
        ("--config {}/configs/demo.yaml", "Put the command before its options, as in: train.py fit --config ..."),
        ("fit --config demo", f"no config file demo. Did you mean '{CHECKOUT}/configs/demo.yaml'?"),
        ("fit --config={}/configs/demo.yml", f"Did you mean '{CHECKOUT}/configs/demo.yaml'?"),
        ("check -c backbone/vit_b16", f"Did you mean '{CHECKOUT}/configs/backbone/vit_b_16.yaml'?"),
        ("fit --config mine.yml", "Did you mean 'mine.yaml'?"),
        ("fit --config nothing_like_it", "no config file nothing_like_it.\n"),
        ("fit --trainer.fast_dev_run --data.batch_size 4", "argument --trainer.fast_dev_run: expected one argument.\n"),
        ("--trainer.max_epochs --data.batch_size 4 fit", "argument --trainer.max_epochs: expected one argument.\n"),
        ("fit --config --data.batch_size 4", "argument -c/--config: expected one argument.\n"),
        ("fit --data.batch_size 4 --name", "argument --name: expected one argument.\n"),
        ("fit --name --data.batch_size 4", "argument --name: expected one argument.\n"),
        ("runs --sort", "argument --sort: expected one argument.\n"),
        ("runs --epochs 3", "unrecognized arguments: --epochs 3.\n"),  # which has no such option
    ],
)
def test_commands_and_files(
    arguments: str, expected: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text("trainer: {}\n")
    with pytest.raises(SystemExit) as stop:
        main(arguments.format(CHECKOUT).split(" "))
    assert stop.value.code == 2
    said = capsys.readouterr().err
    assert expected in said
    assert said.count("\n") == 1


def test_a_value_may_begin_with_one_dash() -> None:
    assert split_words(["a", "--sort", "-x", "--port", "-1", "b"]) == (["a", "b"], ["--sort", "-x", "--port", "-1"])
    assert split_words(["--switch", "--port", "1", "b"]) == (["b"], ["--switch", "--port", "1"])


def test_a_config_in_the_place_of_a_run(mistake: Mistake, tmp_path: Path) -> None:
    assert "write --config configs/demo.yaml." in mistake("fit", "demo.yml")
    answer = mistake("fit", "demo", f"--logs={tmp_path}")  # the checkout's may hold runs of the demo
    assert "no run or data set demo: give the folder of one" in answer
    assert answer.endswith("Did you mean --config configs/demo.yaml?")


def test_the_nearest_config_lies_in_the_folder_that_was_named(tmp_path: Path) -> None:
    (tmp_path / "demo.json").write_text("{}")
    assert config_meant(str(tmp_path / "demo.yaml")) == tmp_path / "demo.json"
    wrong: Any
    for wrong in ("", "\0", "/", "..", "x" * 5000):
        assert config_meant(wrong) is None


def test_runs_in_object_storage_are_suggested() -> None:
    storage = MemoryFileSystem()
    for run in ("version_0", "strong"):
        storage.pipe(f"/suggested/logs/demo/{run}/history.jsonl", b"{}")
    for command in ("test", "fit"):
        with pytest.raises(SystemExit, match="Did you mean 'memory://suggested/logs/demo/version_0'"):
            main([command, "memory://suggested/logs/demo/versoin_0"])
    with pytest.raises(SystemExit, match=r"memory://elsewhere/logs/demo/versoin_0: [^?]*\.$"):
        main(["test", "memory://elsewhere/logs/demo/versoin_0"])

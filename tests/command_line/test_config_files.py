"""Config files: nothing in them is lost, and what is typed counts more, as what it was typed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from command_line.arguments.options import files_first
from command_line.parsing.strict_yaml import load_strictly, repeated_keys
from lightning_modules import ImageClassifier
from tests.support.checkout import CHECKOUT
from train import main

Mistake = Callable[..., str]


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    with pytest.raises(SystemExit) as stop:
        main([*arguments, "--print_config"])
    assert stop.value.code in (0, None)
    config: dict[str, Any] = yaml.safe_load(capsys.readouterr().out)
    return config


REPEATED = {
    "a section": ("data:\n  init_args: {root: a}\nmodel: {}\ndata: {}\n", "data twice, in lines 1 and 4"),
    "a key": ("trainer:\n  max_epochs: 1\n  max_epochs: 2\n", "trainer.max_epochs twice, in lines 2 and 3"),
    "deep": (
        "trainer:\n  callbacks:\n  - class_path: a.B\n    init_args:\n      x: 1\n      x: 1\n",
        "trainer.callbacks[0].init_args.x twice, in lines 5 and 6",
    ),
    "quoted": ("model:\n  'dropout': 0.1\n  dropout: 0.2\n", "model.dropout twice, in lines 2 and 3"),
    "JSON": ('{"model": {"dropout": 0.1, "dropout": 0.2}}', "model.dropout twice, in line 1"),
    "an empty section": ("model:\nmodel: {dropout: 0.1}\n", "model twice, in lines 1 and 2"),
    "with dots": ("model: {dropout: 0.1}\nmodel.dropout: 0.2\n", "model.dropout twice, in lines 1 and 2"),
    "lost in a section": ("model.dropout: 0.1\nmodel:\n  momentum: 0.5\n", "model.dropout twice, in lines 1 and 2"),
    "in an anchor": ("model: &base\n  dropout: 0.1\n  dropout: 0.2\n", "model.dropout twice, in lines 2 and 3"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), REPEATED.values(), ids=REPEATED)
def test_a_key_that_stands_twice_is_refused(mistake: Mistake, tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / "twice.yaml").write_text(text)
    assert f"twice.yaml has {expected}" in mistake("fit", "--config", str(tmp_path / "twice.yaml"))


def test_every_file_and_text_is_looked_at(mistake: Mistake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner/trainer.yaml").write_text("max_epochs: 1\nmax_epochs: 2\n")
    (tmp_path / "inner/data.yaml").write_text("class_path: datamodules.ToyCarsDataModule\ninit_args:\ninit_args: {}\n")
    (tmp_path / "inner/outer.yaml").write_text("trainer: trainer.yaml\n")
    (tmp_path / "inner/both.yaml").write_text("data: data.yaml\n")
    (tmp_path / "good.yaml").write_text("model: {dropout: 0.1}\n")
    (tmp_path / "linked.yaml").symlink_to(tmp_path / "inner/trainer.yaml")
    trainer, data = f"{tmp_path}/inner/trainer.yaml has max_epochs", f"{tmp_path}/inner/data.yaml has init_args"
    assert trainer in mistake("fit", f"--config={tmp_path}/inner/outer.yaml", f"--config={tmp_path}/good.yaml")
    assert data in mistake("check", f"-c={tmp_path}/good.yaml", "-c", f"{tmp_path}/inner/both.yaml")
    assert f"{tmp_path}/linked.yaml has max_epochs" in mistake("fit", "--trainer", f"{tmp_path}/linked.yaml")
    assert "What was typed has model.dropout twice" in mistake("fit", "--config", "model: {dropout: 0.1, dropout: 0.2}")
    monkeypatch.chdir(tmp_path)
    assert ": inner/trainer.yaml has max_epochs" in mistake("fit", "--config=inner/outer.yaml")


def test_anchors_and_merges_repeat_nothing() -> None:
    text = "a: &a {x: 1, y: 2}\nb: &b {z: 3}\nc:\n  <<: *a\n  <<: *b\n  x: 9\nd: [*a, *a]\ne: *a\n"
    assert load_strictly(text)["c"] == {"x": 9, "y": 2, "z": 3}
    circle = "a: &a [*a, {x: 1, x: 2}]"
    assert [*repeated_keys(circle)] == [("a[1].x", 1, 1)]
    nested = "".join(f"k{n}: &k{n} [{', '.join([f'*k{n - 1}'] * 9)}]\n" for n in range(1, 40))
    assert [*repeated_keys(f"k0: &k0 [1]\n{nested}k0: 2\n")] == [("k0", 1, 41)]


@pytest.mark.parametrize("path", sorted((CHECKOUT / "configs").rglob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_files_read_as_yaml_reads_them(path: Path) -> None:
    assert [*repeated_keys(path.read_text())] == []


TYPED_FIRST = {
    "root": (["--data.root", "typed", "--config", "{}/file.yaml"], "data.init_args.root", "typed"),
    "one word": (["--data.root=typed", "--config={}/file.yaml"], "data.init_args.root", "typed"),
    "short": (["--data.root=typed", "-c", "{}/file.yaml"], "data.init_args.root", "typed"),
    "two files": (
        ["--config={}/other.yaml", "--data.root=typed", "--config", "{}/file.yaml"], "data.init_args.root", "typed"
    ),
    "the later file": (["--config={}/other.yaml", "--data.root=typed", "-c={}/file.yaml"], "trainer.max_epochs", 3),
    "class": (
        ["--data=datamodules.ImageFolderDataModule", "--config={}/file.yaml"],
        "data.class_path", "datamodules.ImageFolderDataModule",
    ),
    "root of a class": (
        ["--data=datamodules.ImageFolderDataModule", "--data.root=typed", "--config={}/file.yaml"],
        "data.init_args.root", "typed",
    ),
    "section": (["--trainer.max_epochs=9", "--trainer", "{}/trainer.yaml"], "trainer.max_epochs", 9),
    "choice": (["--model.optimizer", "sgd", "--config={}/file.yaml"], "model.optimizer", "sgd"),
    "callbacks": (
        ["--trainer.callbacks+=lightning.pytorch.callbacks.RichProgressBar", "--config={}/file.yaml"],
        "trainer.callbacks",
        [f"lightning.pytorch.callbacks.{name}" for name in ("DeviceStatsMonitor", "RichProgressBar")],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("options", "key", "expected"), TYPED_FIRST.values(), ids=TYPED_FIRST)
def test_what_is_typed_wins_wherever_it_stands(
    options: list[str], key: str, expected: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "trainer.yaml").write_text("max_epochs: 4\n")
    (tmp_path / "other.yaml").write_text("trainer: {max_epochs: 7}\ndata: {init_args: {root: other}}\n")
    (tmp_path / "file.yaml").write_text(
        "data:\n  class_path: datamodules.ToyCarsDataModule\n  init_args: {root: filed}\nmodel: {optimizer: adamw}\n"
        "trainer:\n  max_epochs: 3\n  callbacks: [{class_path: lightning.pytorch.callbacks.DeviceStatsMonitor}]\n"
    )
    command = "check" if "-c" in options else "fit"
    got: Any = printed(capsys, command, *(option.format(tmp_path) for option in options))
    for part in key.split("."):
        got = got[part]
    assert ([item["class_path"] for item in got] if isinstance(got, list) else got) == expected


@pytest.mark.parametrize(("limit", "batches"), [("1", 1), ("1.0", 2), ("0.5", 1)])
def test_one_is_a_batch_and_1_0_is_all_of_them(
    run: Callable[..., None], monkeypatch: pytest.MonkeyPatch, limit: str, batches: int
) -> None:
    begun: list[int] = []
    monkeypatch.setattr(ImageClassifier, "on_fit_end", lambda self: begun.append(self.global_step), raising=False)
    options = ["--data.batch_size=32", "--trainer.max_epochs=1", "--trainer.limit_val_batches=1"]
    run("fit", *options, "--previews.enabled=false", f"--trainer.limit_train_batches={limit}")
    assert begun == [batches]


def test_only_files_move(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("t.yaml").write_text("")
    typed = [
        "RUN",
        "--sort",
        "-x",
        "--a.b",
        "t.yaml",
        "--trainer",
        "t.yaml",
        "--help",
        "-c",
        "1",
        "--config=2",
        "--name",
    ]
    moved = [
        "--trainer",
        "t.yaml",
        "-c",
        "1",
        "--config=2",
        "RUN",
        "--sort",
        "-x",
        "--a.b",
        "t.yaml",
        "--help",
        "--name",
    ]
    assert files_first(typed) == moved
    assert files_first(["a", "--", "--config", "b"]) == ["a", "--", "--config", "b"]
    assert files_first(["--data.help", "--config", "b"]) == ["--config", "b", "--data.help"]


@pytest.mark.parametrize("typed", [["fit", "--config={}"], ["--config={}", "fit"], ["--config", "{}", "fit"]])
def test_a_config_may_be_text(capsys: pytest.CaptureFixture[str], home: Path, typed: list[str]) -> None:
    text = f"experiment: {'x' * 100}\ntrainer: {{max_epochs: 3}}\n{'# as long as no name of a file ' * 9}"
    config = printed(capsys, *(argument.format(text) for argument in typed))
    assert (config["experiment"], config["trainer"]["max_epochs"]) == ("x" * 100, 3)


def test_a_config_in_front_of_the_command_counts(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, home: Path
) -> None:
    demo = str(CHECKOUT / "configs/demo.yaml")
    behind = printed(capsys, "fit", f"--config={demo}")
    assert printed(capsys, f"--config={demo}", "fit") == printed(capsys, "--config", demo, "fit") == behind
    (tmp_path / "sections.yaml").write_text("fit:\n  trainer:\n    max_epochs: 3\n")
    assert printed(capsys, f"--config={tmp_path / 'sections.yaml'}", "fit")["trainer"]["max_epochs"] == 3

"""Help and mistyped commands are answered at once, and as the parsers would."""

import json
import re
import subprocess
import sys
from typing import Any

import pytest

from command_line.arguments.other_names import COMMANDS
from command_line.help import quick_answers
from command_line.help.option_help import TEXTS, all_options
from command_line.run_command import run_command
from tests.support.checkout import CHECKOUT
from train import main

HEAVY = {"torch", "lightning", "numpy", "jsonargparse", "albumentations", "matplotlib", "cv2", "yaml"}


@pytest.mark.parametrize(
    "typed", [["--help"], ["-h"], ["fit", "--help"], ["runs", "-h"], ["fitt"], ["train", "--epochs=3"]]
)
def test_nothing_heavy_is_imported(typed: list[str]) -> None:
    program = (
        "import sys; sys.argv = ['train.py', *sys.argv[1:]]; import train\n"
        "try: train.main()\n"
        f"except SystemExit: print(sorted({HEAVY!r} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", program, *typed], cwd=CHECKOUT, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert done.stdout.startswith("usage: train.py") == (typed[-1] in ("-h", "--help"))


def test_a_python_without_the_packages_is_named() -> None:
    bare = [sys.executable, "-S", "-I", "-c"]
    program = (
        f"import sys; sys.path.insert(0, {str(CHECKOUT)!r}); sys.argv = ['train.py', 'fit']; import train; train.main()"
    )
    done = subprocess.run([*bare, program], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith(f"train.py: error: torch isn't installed for {sys.executable}: activate")
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_the_stored_texts_are_those_of_the_parsers() -> None:
    ask = "import json; from command_line.help import stored_help; print(json.dumps(dict(stored_help.texts())))"
    # in a process of its own: the texts name all classes that have been imported, those of tests as well
    answered = subprocess.run([sys.executable, "-c", ask], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    found = json.loads(answered.stdout)
    assert {name for name in found if not name.endswith("-short")} == {
        "overview", *COMMANDS, *(f"{name}-options" for name in COMMANDS)
    }  # fmt: skip
    assert found.keys() == {file.stem for file in TEXTS.glob("*.txt")}
    for name, text in found.items():
        stored = (TEXTS / f"{name}.txt").read_text(encoding="utf-8")
        assert stored == text, f"call make help-texts: {name}.txt has changed"


def printed(capsys: Any, *typed: str) -> str:
    with pytest.raises(SystemExit) as stop:
        main([*typed])
    assert stop.value.code == 0
    return str(capsys.readouterr().out)


def test_help_is_short_long_or_about_one_option(capsys: Any) -> None:
    short, long = printed(capsys, "fit", "--help"), printed(capsys, "fit", "--help", "all")
    assert len(short.splitlines()) < 45
    common = re.findall(r"--([a-z_]+\.[a-z_]+)", short)
    assert len(common) > 15
    assert {*common} <= {*all_options()}
    for name in common:
        assert f"--{name} " in long
    assert "--space" in printed(capsys, "sweep", "--help")
    one = printed(capsys, "fit", "--help", "data.batch_size")
    assert one.startswith("--data.batch_size\n")
    assert "integer; default: 32" in one
    assert printed(capsys, "fit", "--help", "--batch_size") == one
    assert "Did you mean 'data.batch_size'?" in printed(capsys, "fit", "--help", "batchsize")
    assert printed(capsys, "fit", "-h", "--config", "x.yaml") == short
    for typed in (["--config", "x.yaml"], ["ROOT"], ["--trainer.max_epochs=ten", "--name", "a"]):  # wherever it stands
        assert printed(capsys, "fit", *typed, "--help") == short
        assert printed(capsys, "fit", *typed, "--help", "data.batch_size") == one
    assert printed(capsys, "fit", "--help", "logs/demo/version_0") == short
    assert "--seeds" in printed(capsys, "repeat", "--help", "seeds")
    assert "default: 30" in printed(capsys, "sweep", "--help", "--trials")
    assert "--config" in printed(capsys, "fit", "--help", "config")
    assert quick_answers.answer(["predict", "run", "--", "-h"]) is False
    for command in ("check", "preview", "convert", "predict", "test"):  # which don't train
        assert "--trainer.max_epochs" not in printed(capsys, command, "--help")
    for command in ("repeat", "doubts", "sweep"):  # which name and place their runs themselves
        assert "--name " not in printed(capsys, command, "--help")
    assert "--experiment " in printed(capsys, "sweep", "--help")  # of its best.yaml
    assert "(default: 30)" in printed(capsys, "sweep", "--help")
    assert "--tta.scales" in printed(capsys, "test", "--help", "tta")
    assert "Did you mean 'data.batch_size'?" in printed(capsys, "fit", "--help", "bach_size")
    assert printed(capsys, "--help", "data.batch_size") == one
    assert printed(capsys, "--help", "all") == long
    assert printed(capsys, "--config", "x.yaml", "fit", "--help") == short
    assert printed(capsys, "--help", "trusted_only").startswith("  --trusted_only")
    assert "--report.pictures" not in printed(capsys, "predict", "--help")
    assert {*COMMANDS} <= {*printed(capsys, "--help").split()}


@pytest.mark.slow
def test_imports_are_not_searched_for_garbage() -> None:
    program = (
        "import gc, train\n"
        "try: train.main(['runs', 'nowhere'])\n"
        "except SystemExit: print(gc.isenabled(), gc.get_freeze_count() > 100_000)\n"
        "frozen = gc.get_freeze_count()\n"
        "try: train.main(['runs', 'nowhere'])\n"
        "except SystemExit: print(gc.get_freeze_count() <= frozen)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "True", "True"]


@pytest.mark.parametrize("word", ["fitt", "train", "xyz", "prediction", "Test", "ru"])
def test_mistyped_commands_are_answered_as_by_the_parser(word: str, capsys: Any) -> None:
    answers = []
    for answer in (main, run_command):
        with pytest.raises(SystemExit) as stop:
            answer([word, "--trainer.max_epochs=3"])
        answers.append((stop.value.code, capsys.readouterr().err))
    assert answers[0] == answers[1]


@pytest.mark.parametrize(
    "typed",
    [
        ["fit", "--model.backbonee=resnet18"],
        ["fit", "--foo", "1", "--config", "configs/demo.yaml"],
        ["fit", "--config=configs/demo.yaml", "--trainer.max_epoch", "7"],
        ["test", "--epochs", "3"],
        ["fit", "--epochs=3"],
        ["fit", "--early_stopping.patienc=3"],
        ["fit", "--batch-size=3"],
        ["predict", "--weights=x"],
        ["check", "--sizes"],
        ["runs", "--sorted=val/f1"],
        ["fit", "--lr", "1e-3", "--trainer.max_epochs=2"],
        ["fit", "--trainer.max_epochs=ten"],
        ["fit", "--trainer.max_epochs", "2.5"],
        ["fit", "--config=configs/demo.yaml", "--data.batch_size=abc"],
        ["fit", "--data.num_workers=many"],
        ["fit", "--model.learning_rate=fast"],
        ["fit", "--model.optimizer=adamm"],
        ["fit", "--tta.flip", "maybe"],
        ["test", "--data.on_error=ignore"],
        ["fit", "--checkpoint.mode=maxi"],
        ["fit", "--trainer.limit_val_batches=few"],
        ["predict", "--data.image_size=4.5"],
        ["test", "--trainer.limit_test_batches=few"],
        ["check", "--checkpoint.mode=maxi"],
        ["validate", "--tta.flip=maybe"],
        ["preview", "--images=few"],
        ["convert", "--max_side=small"],
        ["predict", "--weights_only=maybe"],
    ],
    ids=" ".join,
)
def test_mistyped_options_are_answered_as_by_the_parser(typed: list[str], capsys: Any) -> None:
    answers = []
    for answer in (quick_answers.answer, run_command):
        with pytest.raises(SystemExit) as stop:
            answer(typed)
        answers.append((stop.value.code, capsys.readouterr().err))
    assert answers[0] == answers[1]


@pytest.mark.parametrize(
    "typed",
    [
        ["fit", "--data.rooot=x"], ["fit", "logs/run", "--foo=1"], ["fit", "--foo=1", "--bar=2"], ["fit", "-x"],
        ["fit", "--trainer.callbacks.foo=1"], ["fit", "--trainer.logger.foo=1"], ["fit", "--foo", "1", "2"],
        ["fit", "--trainer.callbacks+=x.Y"], ["fit", "--print_config=skip_unset"], ["fit", "--tta.enabled=false"],
        ["fit", "--config=missing.yaml", "--data.batch_size=abc"], ["fit", "--config", "missing.yaml", "--foo=1"],
        ["fit", "--trusted_only", "--trainer.max_epochs=ten"],
        ["fit", "--data=datamodules.StreamingDataModule", "--data.batch_size=abc"],
        ["fit", "--foo=1", "--trusted_only"],
        ["fit", "--data.batch_size=abc", "--model.compile=maybe"], ["fit", "--data.batch_size=abc", "--foo=1"],
        ["fit", "--trainer.max_epochs=null"], ["fit", "--data.batch_size=1e2"], ["fit", "--model.compile=yes"],
        ["fit", "--model.learning_rate=inf"], ["fit", "--trainer.precision=15"], ["fit", "--name=ten"],
        ["fit", "--data.batch_size", "16", "32"], ["fit", "--model.learning_rate=0.5"], ["fit", "--data.seed=null"],
        ["fit", "--trusted_only"], ["fit", "--trainer.strategy.foo=1"], ["fit", "--unheard.of=1"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_options_that_may_be_right_are_left_to_the_parser(typed: list[str]) -> None:
    assert quick_answers.answer(typed) is False


def test_other_words_are_left_to_the_parser() -> None:
    for typed in ([], ["--config", "x.yaml"], ["fit"], ["configs/demo.yaml"]):
        assert quick_answers.answer(typed) is False


def test_texts_have_no_place_of_this_machine() -> None:
    for file in TEXTS.glob("*.txt"):
        assert str(CHECKOUT) not in file.read_text(encoding="utf-8")

"""What is mistyped or missing is answered with one clear line."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.checkout import CHECKOUT


@pytest.mark.parametrize("stage", ["validate", "test", "predict"])
def test_nothing_is_evaluated_without_weights(mistake: Callable[..., str], stage: str) -> None:
    assert "needs trained weights" in mistake(stage)
    assert "no run in" in mistake(stage, "--ckpt_path=best")
    assert "no run in" in mistake(stage, "--ckpt_path=last")


def test_going_on_with_nothing_begins(run: Callable[..., None], mistake: Callable[..., str], tmp_path: Path) -> None:
    assert "no run in" in mistake("test", "--ckpt_path=last")
    with pytest.warns(UserWarning, match="no checkpoint in .* to go on from: the run begins"):
        run("fit", "--ckpt_path=last")
    assert (tmp_path / "logs/demo/version_0/checkpoints/last.ckpt").is_file()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--trainer.max_epoch=7"], "Did you mean 'trainer.max_epochs'?"),
        (["--data.batchsize=7"], "Did you mean 'batch_size'?"),
        (["--early_stoping.patience=3"], "Did you mean 'early_stopping.patience'?"),
        (["--data.batch_size=many"], "batch_size"),
        (["--model.optimizer=adam"], "model.optimizer"),
        (["--data=datamodules.ToyCarDataModule"], "Did you mean 'ToyCarsDataModule'?"),
        (["--config=configs/nothing.yaml"], "configs/nothing.yaml"),
        (["--data.batch_size=5000"], "only 64 training images"),
        (["--data.batch_size=0"], "data.batch_size is 0"),
        (["--data.val_fraction=1.5"], "data.val_fraction"),
        (["--model.backbone=resnet5O"], "Did you mean 'resnet50'?"),
        (["--model.weights=gone.pth"], "gone.pth"),
        (["--data=datamodules.StanfordCarsDataModule", "--data.root=nowhere"], "data.root is nowhere"),
        (["--data=datamodules.ImageFolderDataModule", "--data.root=configs"], "no data set was recognised"),
    ],
)
def test_mistakes_get_one_clear_line(mistake: Callable[..., str], options: list[str], expected: str) -> None:
    assert expected in mistake("fit", *options)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("model:\n  backbon: resnet18\n", "Did you mean 'model.backbone'?"),
        ("data:\n  init_args:\n    imagesize: 3\n", "Did you mean 'image_size'?"),
        ("trainr:\n  max_epochs: 3\n", "Did you mean 'trainer.max_epochs'?"),
        ("trainer: [3\n", "broken.yaml"),
    ],
)
def test_mistakes_in_yaml_get_one_clear_line(
    mistake: Callable[..., str], tmp_path: Path, content: str, expected: str
) -> None:
    (tmp_path / "broken.yaml").write_text(content)
    assert expected in mistake("fit", "--config", str(tmp_path / "broken.yaml"))


@pytest.mark.slow
def test_the_program_exits_with_one_line_and_a_code() -> None:
    for options, code in ((["fit", "--trainer.max_epoch", "7"], 2), (["test"], 1)):
        finished = subprocess.run(
            [sys.executable, "train.py", *options], cwd=CHECKOUT, capture_output=True, text=True, check=False
        )
        assert finished.returncode == code
        assert finished.stderr.strip().splitlines()[-1].startswith("train.py: error: ")
        assert "Traceback" not in finished.stderr

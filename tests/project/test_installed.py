"""What is installed from a wheel works from any folder, as a package and as a command."""

import lzma
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import carspotter
from lightning_modules import ImageClassifier
from runs.commands import next_command, program
from tests.lightning_modules.test_old_checkpoints import OLD_RUN
from tests.project.test_packages import MAY_IMPORT
from tests.support.checkout import CHECKOUT

SHIPPED = ("carspotter.py", "configs", *MAY_IMPORT)
USE = """
import carspotter, sys
model = carspotter.load("mine.ckpt")
assert not model.training and "tensorboard" not in sys.modules
print(carspotter.__file__, model.classify("grey.png"), sep="\\n")
"""
Call = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from a copy, without a network, and install it into a folder of its own."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("target")
    for name in (*SHIPPED, "pyproject.toml", "README.md", "LICENSE"):
        if (CHECKOUT / name).is_file():
            shutil.copy(CHECKOUT / name, source / name)
        else:
            shutil.copytree(CHECKOUT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    build = [
        "wheel",
        "--no-build-isolation",
        "--no-deps",
        "--no-index",
        "--wheel-dir",
        str(source / "dist"),
        str(source),
    ]
    subprocess.run([*pip, *build], check=True, capture_output=True)
    (wheel,) = (source / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        found = {name for name in archive.namelist() if ".dist-info/" not in name}
    expected = (path for name in SHIPPED for path in [CHECKOUT / name, *(CHECKOUT / name).rglob("*")])
    names = (path.relative_to(CHECKOUT) for path in expected if path.is_file())
    assert found == {name.as_posix() for name in names if "__pycache__" not in name.parts}
    install = ["install", "--no-deps", "--no-index", "--target", str(target), str(wheel)]
    subprocess.run([*pip, *install], check=True, capture_output=True)
    return target


@pytest.fixture
def call(installed: Path, tmp_path: Path) -> Call:
    """Run a command elsewhere, where nothing but what is installed can be imported."""

    def run(*command: str) -> "subprocess.CompletedProcess[str]":
        environment = {**os.environ, "PYTHONPATH": str(installed)}
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=300
        )

    return run


@pytest.mark.slow
def test_a_program_imports_it_anywhere(installed: Path, call: Call, tmp_path: Path) -> None:
    (tmp_path / "mine.ckpt").write_bytes(lzma.decompress((OLD_RUN / "last.ckpt.xz").read_bytes()))
    Image.fromarray(np.arange(1200, dtype=np.uint8).reshape(30, 40)).save(tmp_path / "grey.png")
    answer = call(sys.executable, "-c", USE)
    assert answer.returncode == 0, answer.stderr
    file, classes = answer.stdout.splitlines()
    assert file == str(installed / "carspotter.py")
    assert classes == str(ImageClassifier.load(tmp_path / "mine.ckpt").classify(tmp_path / "grey.png"))


@pytest.mark.slow
def test_the_command_finds_the_configs_that_come_with_it(installed: Path, call: Call) -> None:
    script = [sys.executable, str(installed / "bin/carspotter")]
    tiny = ["--data.train_images=10", "--data.test_images=5", "--data.image_size=64", "--data.num_workers=0"]
    tiny += ["--model.backbone=squeezenet1_1", "--trainer.max_epochs=1", "--trainer.limit_train_batches=1"]
    answer = call(*script, "fit", "--config", "configs/demo.yaml", "--config=configs/linear_probe.yaml", *tiny)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.splitlines()[-1] == "next: carspotter test logs/demo/version_0"
    answer = call(sys.executable, "-m", "carspotter", "fit", "--config", "configs/demi.yaml")
    assert answer.returncode == 2
    message = "carspotter: error: there is no config file configs/demi.yaml. Did you mean "
    assert answer.stderr.splitlines()[-1] == f"{message}'{installed / 'configs/demo.yaml'}'?"


@pytest.mark.parametrize(
    ("typed", "name", "command"),
    [
        ("train.py", "train.py", "python train.py test RUN"),
        ("/opt/bin/carspotter", "carspotter", "carspotter test RUN"),
        ("/opt/lib/carspotter.py", "carspotter", "python -m carspotter test RUN"),
        ("service.py", "carspotter", "carspotter test RUN"),
    ],
)
def test_commands_are_called_as_they_were_started(
    monkeypatch: pytest.MonkeyPatch, typed: str, name: str, command: str
) -> None:
    monkeypatch.setattr(sys, "argv", [typed])
    assert (program(), next_command("test", Path("RUN"))) == (name, command)


def test_configs_of_the_working_directory_come_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    def printed() -> str:
        with pytest.raises(SystemExit):
            carspotter.main(["fit", "--config", "configs/debug.yaml", "--print_config"])
        return capsys.readouterr().out

    assert "fast_dev_run: true" in printed()
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs/debug.yaml").write_text("seed_everything: 12345\n")
    config = printed()
    assert "seed_everything: 12345" in config
    assert "fast_dev_run: false" in config

"""Consoles and locales that aren't UTF-8, with names from everywhere."""

import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.checkout import CHECKOUT
from train import main

CLASSES = ("トヨタ 86", "🚗 café")
RUN = "essai é"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Class folders with names that no old console has, and a file whose name is no UTF-8."""
    root = tmp_path / "写真"
    pixels = np.random.default_rng(0)
    for part, count in (("train", 6), ("test", 2)):
        for name in CLASSES:
            folder = root / part / name
            folder.mkdir(parents=True)
            for number in range(count):
                picture = Image.fromarray(pixels.integers(0, 256, (40, 40, 3), dtype=np.uint8))
                picture.save(folder / f"bilд {number}.jpg")
    (folder / "bilд 0.jpg").rename(os.fsdecode(os.fsencode(folder) + b"/latin\xe9.jpg"))
    return root


@pytest.fixture
def options(photos: Path) -> list[str]:
    return [
        "--data=datamodules.ImageFolderDataModule", f"--data.root={photos}", "--data.image_size=32",
        "--data.batch_size=4", "--data.num_workers=0", "--data.val_fraction=0.34",
        "--model.backbone=squeezenet1_1", "--model.weights=null", "--trainer.accelerator=cpu",
        "--trainer.max_epochs=1", "--trainer.enable_progress_bar=false", "--unfreezing.epochs=[]",
    ]  # fmt: skip


def commands(options: list[str], photos: Path, folder: Path) -> list[list[str]]:
    run = str(folder / "logs/éxp" / RUN)
    return [
        ["check", *options, f"--output={folder / 'chéck'}"],
        ["fit", *options, f"--logs={folder / 'logs'}", "--experiment=éxp", f"--name={RUN}"],
        ["test", run],
        ["predict", run, *(str(file) for file in sorted((photos / "test" / CLASSES[1]).iterdir()))],
        ["runs", str(folder / "logs"), f"--output={folder / 'rüns.csv'}"],
    ]


def written(folder: Path) -> None:
    run = folder / "logs/éxp" / RUN
    assert CLASSES[0] in (run / "test/test_report.csv").read_text(encoding="utf-8-sig")
    assert "写真" in (run / "config.yaml").read_text(encoding="utf-8")
    assert f"éxp/{RUN}" in (folder / "rüns.csv").read_text(encoding="utf-8-sig")
    table = (run / "predict/predictions.csv").read_text(encoding="utf-8-sig", errors="surrogateescape")
    assert len(table.splitlines()) == 3
    assert CLASSES[0] in table


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_any_console_shows_any_text(
    encoding: str, options: list[str], photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(raw, encoding=encoding, errors="strict"))
    for command in commands(options, photos, tmp_path):
        main(command)
    sys.stdout.flush()
    said = raw.getvalue().decode(encoding)
    assert {"ascii": r"essai \xe9", "cp1252": "essai é", "utf-8": "essai é"}[encoding] in said
    written(tmp_path)


@pytest.mark.slow
def test_an_ascii_locale_changes_no_name(options: list[str], photos: Path, tmp_path: Path) -> None:
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    locale |= dict.fromkeys(("PYTHONIOENCODING", "LANG", "LC_CTYPE"), "")
    for command in commands(options, photos, tmp_path):
        if command[0] != "fit":  # the same in this respect
            main(command)
            continue
        finished = subprocess.run(
            [sys.executable, "train.py", *command], cwd=CHECKOUT, capture_output=True, check=False,
            env={**os.environ, **locale},
        )  # fmt: skip
        assert finished.returncode == 0, finished.stderr
        assert b"Error" not in finished.stderr
        assert finished.stdout.isascii()
    written(tmp_path)

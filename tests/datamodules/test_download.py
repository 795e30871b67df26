"""Downloads from a mirror on a local hub: complete, interrupted, truncated and wrong ones."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from lightning.fabric.utilities.exceptions import MisconfigurationException
from PIL import Image
from torchvision.datasets import StanfordCars

from datamodules import StanfordCarsDataModule
from datamodules.download import download_stanford_cars
from datamodules.layouts import CAR_NAMES, Part
from datamodules.layouts.official_annotations import COUNTS
from tests.support.checkout import CHECKOUT
from tests.support.hub_server import HubServer
from tests.support.stanford_cars_mirror import MIRROR, NAMES, colour, mirror
from tests.support.stanford_cars_mirror import few as few
from tests.support.stanford_cars_mirror import files as files
from tests.support.stanford_cars_mirror import hub as hub

pytestmark = pytest.mark.slow
COMPLETE: dict[Part, int] = dict(COUNTS)


def check(root: Path) -> None:
    """The copy is complete, and its labels are the official ones: our reader and torchvision's agree on that."""
    assert not list(root.parent.glob(f".{root.name}.download"))
    for part, count in COUNTS.items():
        samples = StanfordCarsDataModule(root=str(root)).read(part)
        assert samples.labels is not None
        np.testing.assert_array_equal(samples.labels, np.arange(count) % 196)
        for index in (0, 173, count - 1):
            assert Image.open(samples.files[index]).getpixel((0, 0)) == colour(index)
    (root.parent / "stanford_cars").symlink_to(root)
    theirs = StanfordCars(root.parent, split="test")
    assert theirs.classes == CAR_NAMES
    assert [label for _, label in theirs._samples] == [index % 196 for index in range(COUNTS["test"])]


def test_one_option_downloads(
    hub: HubServer, tmp_path: Path, arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for part, count in COMPLETE.items():
        monkeypatch.setitem(COUNTS, part, count)
    hub.files = mirror()
    hub.drops = {name: [len(data) // 3] for name, data in hub.files.items()}  # every connection breaks once
    wanted = [argument for argument in arguments if not argument.startswith("--data.t") and "root" not in argument]
    finished = subprocess.run(
        [
            *(sys.executable, "train.py", "fit", *wanted, "--data=datamodules.StanfordCarsDataModule"),
            *(f"--data.root={tmp_path / 'cars'}", "--data.download=true", f"--data.source={MIRROR}"),
            *("--trainer.fast_dev_run=true", "--trainer.enable_progress_bar=true"),
        ],
        cwd=CHECKOUT,
        env={**os.environ, "HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    output = finished.stdout + finished.stderr
    assert output.count("has no\nformal licence") == 1
    assert "writing cars_train" in output
    assert not hub.requests["data/contrast-00000-of-00001.parquet"]
    check(tmp_path / "cars")
    assert "formal licence" in (tmp_path / "cars/TERMS.txt").read_text()


@pytest.mark.parametrize("after", [0, 300, 814 + 100])
def test_an_interrupted_download_goes_on(
    hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    root, written, write = tmp_path / "cars", 0, Path.write_bytes

    def interrupted(self: Path, data: bytes) -> int:
        nonlocal written
        written += 1
        if written > after:
            write(self, data[: len(data) // 2])  # torn
            raise KeyboardInterrupt
        return write(self, data)

    monkeypatch.setattr(Path, "write_bytes", interrupted)
    with pytest.raises(KeyboardInterrupt):
        download_stanford_cars(root, MIRROR)
    assert not root.exists()
    fetched, kept = hub.requests.total(), after
    after, written = 10**9, 0
    download_stanford_cars(root, MIRROR)
    assert hub.requests.total() == fetched
    assert written == sum(COUNTS.values()) - kept
    check(root)


def test_a_hub_out_of_reach_is_named(hub: HubServer, tmp_path: Path) -> None:
    with pytest.raises(MisconfigurationException, match="Can't fetch owner/nothing from the Hugging Face hub"):
        download_stanford_cars(tmp_path / "cars", "owner/nothing")
    hub.drops["data/test-00001-of-00002.parquet"] = [10] * 99
    with pytest.raises(MisconfigurationException, match="the same command goes on"):
        download_stanford_cars(tmp_path / "cars", MIRROR)
    assert not (tmp_path / "cars").exists()
    hub.drops = {}
    download_stanford_cars(tmp_path / "cars", MIRROR)
    check(tmp_path / "cars")


def test_an_incomplete_or_foreign_mirror_is_refused(
    hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "data/test-00001-of-00002.parquet"
    whole = hub.files[name]
    for content, message in (
        (whole[: len(whole) // 2], "is no Parquet file"),
        (mirror(short=1)[name], "has 803 test images, but Stanford Cars has 804"),
        (hub.files["data/train-00001-of-00002.parquet"], "has 814 test images"),
    ):
        hub.files[name] = content
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / message[:10]))
        with pytest.raises(MisconfigurationException, match=message):
            download_stanford_cars(tmp_path / "cars", MIRROR)
        assert not (tmp_path / "cars").exists()
    hub.files[name] = whole  # a damaged file doesn't stay in the cache
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "is no Parq"))
    download_stanford_cars(tmp_path / "cars", MIRROR)
    check(tmp_path / "cars")


def test_labels_that_cannot_be_named_are_refused(
    hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for names, message in ((["Zeppelin", *NAMES[1:]], "the class 'Zeppelin'"), (None, "no names to tell")):
        hub.files = mirror(names=names)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / message))
        with pytest.raises(MisconfigurationException, match=message):
            download_stanford_cars(tmp_path / "cars", MIRROR)
        assert not (tmp_path / "cars").exists()


def test_a_folder_with_something_in_it_is_left_alone(
    hub: HubServer, tmp_path: Path, mistake: Callable[..., str]
) -> None:
    (tmp_path / "cars").mkdir()
    (tmp_path / "cars/thesis.txt").write_text("precious")
    data = ["--data=datamodules.StanfordCarsDataModule", f"--data.root={tmp_path / 'cars'}", "--data.download=true"]
    assert "Found: thesis.txt" in mistake("fit", *data)
    assert (tmp_path / "cars/thesis.txt").read_text() == "precious"
    assert hub.requests.total() == 0

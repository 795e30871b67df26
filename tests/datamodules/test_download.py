"""Downloads against a local server: complete, interrupted, truncated, wrong and hostile ones."""

import io
import json
import os
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from lightning.fabric.utilities.exceptions import MisconfigurationException
from PIL import Image
from pyarrow import parquet
from torchvision.datasets import StanfordCars

from datamodules import StanfordCarsDataModule
from datamodules.download import download_stanford_cars
from datamodules.layouts import CAR_NAMES, Part
from datamodules.layouts.official_annotations import COUNTS
from tests.support.checkout import CHECKOUT
from tests.support.hub_server import HubServer, serve

pytestmark = pytest.mark.slow
MIRROR = "owner/cars"
COMPLETE: dict[Part, int] = dict(COUNTS)
FEW: dict[Part, int] = {
    "train": 814,
    "test": 804,
}  # what takes long with all of them doesn't depend on how many there are
NAMES = [name.replace("/", "-") for name in sorted(CAR_NAMES)]  # not the official order, as with some mirrors


@pytest.fixture(autouse=True, scope="module")
def few() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for part, count in FEW.items():
            patch.setitem(COUNTS, part, count)
        yield


def colour(index: int) -> tuple[int, int, int]:
    return index % 256, index // 256, 100


def mirror(short: int = 0, names: list[str] | None = NAMES) -> dict[str, bytes]:
    """The set's full numbers of tiny pictures; the colour tells which is which. The k-th belongs to class k % 196."""
    files = {}
    for part, count in COUNTS.items():
        pictures, labels = [], []
        for index in range(count - short):
            data = io.BytesIO()
            Image.new("RGB", (8, 8), colour(index)).save(data, "PNG")
            pictures.append({"bytes": data.getvalue(), "path": None})
            labels.append(NAMES.index(CAR_NAMES[index % 196].replace("/", "-")))
        features = {"label": {"names": names, "_type": "ClassLabel"}}
        table = pa.table({"image": pictures, "label": labels, "caption": ["a car"] * len(labels)})
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
        half = 5000 if count > 5000 else 500
        for number, start in enumerate((0, half)):
            shard = io.BytesIO()
            parquet.write_table(table.slice(start, half), shard)
            files[f"data/{part}-{number:05d}-of-00002.parquet"] = shard.getvalue()
    return {**files, "data/contrast-00000-of-00001.parquet": b"another split, which nobody wants"}


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return mirror()


@pytest.fixture
def hub(files: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    with serve(MIRROR, dict(files)) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
        yield server


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


@pytest.fixture(scope="module")
def archive(files: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A complete set as class folders, as a .tgz."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=1) as members:
        for part, count in COUNTS.items():
            for index in range(count):
                picture = io.BytesIO()
                Image.new("RGB", (8, 8), colour(index)).save(picture, "PNG")
                name = f"stanford-cars/{part}/{CAR_NAMES[index % 196].replace('/', '-')}/{index:05d}.png"
                member = tarfile.TarInfo(name)
                member.size = len(picture.getvalue())
                members.addfile(member, io.BytesIO(picture.getvalue()))
    return packed.getvalue()


def test_a_broken_connection_is_resumed(hub: HubServer, tmp_path: Path, archive: bytes) -> None:
    hub.files["cars.tgz"] = archive
    hub.drops["cars.tgz"] = [len(archive) // 4] * 2
    download_stanford_cars(tmp_path / "cars", f"{hub.url}/cars.tgz")
    assert hub.ranges == [f"bytes={len(archive) // 4}-", f"bytes={2 * (len(archive) // 4)}-"]
    samples = StanfordCarsDataModule(root=str(tmp_path / "cars")).read("test")
    assert samples.labels is not None
    for file, label in zip(samples.files, samples.labels, strict=True):
        assert int(Path(str(file)).stem) % 196 == label


def test_a_server_that_is_busy_loses_nothing(
    hub: HubServer, tmp_path: Path, archive: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("datamodules.download.archives.time.sleep", pauses.append)
    hub.files["cars.tgz"] = archive
    hub.drops["cars.tgz"] = [len(archive) // 4]
    hub.busy = 3
    download_stanford_cars(tmp_path / "cars", f"{hub.url}/cars.tgz?dl=1")
    assert hub.ranges == [f"bytes={len(archive) // 4}-"]
    assert pauses == [2, 4, 8]  # of five attempts, the first of which was the broken one


def test_damaged_archives_are_refused_and_fetched_anew(hub: HubServer, tmp_path: Path, archive: bytes) -> None:
    for name, content, message in (
        ("cars.tgz", archive[: len(archive) // 2], "is damaged or no archive"),
        ("cars_train.tgz", archive, "its MD5 sum is not 065e5b46"),
        ("cars.zip", b"PK", "is damaged or no archive"),
    ):
        hub.files[name] = content
        with pytest.raises(MisconfigurationException, match=message):
            download_stanford_cars(tmp_path / "cars", f"{hub.url}/{name}")
        assert not (tmp_path / "cars").exists()
    hub.files["cars.tgz"] = archive
    download_stanford_cars(tmp_path / "cars", f"{hub.url}/cars.tgz")
    with pytest.raises(MisconfigurationException, match="404"):
        download_stanford_cars(tmp_path / "other", f"{hub.url}/nothing.tgz")


def test_a_flipped_bit_in_an_archive_is_found(tmp_path: Path) -> None:
    content = np.random.default_rng(0).integers(0, 256, 50_000, dtype=np.uint8).tobytes()
    for suffix in ("tgz", "zip", "tar"):
        path, whole = tmp_path / f"cars.{suffix}", io.BytesIO()
        if suffix == "zip":
            with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as packed:
                packed.writestr("a.jpg", content)
        else:
            kind = {"tgz": "w:gz", "tar": "w"}[suffix]
            with tarfile.open(fileobj=whole, mode=kind) as members:  # type: ignore[call-overload]
                for name in ("a.jpg", "b.jpg"):
                    member = tarfile.TarInfo(name)
                    member.size = len(content)
                    members.addfile(member, io.BytesIO(content))
        damaged = bytearray(whole.getvalue())
        place = len(damaged) // 2 if suffix != "tar" else 512 + 50_176 + 150  # which has checksums of heads alone
        damaged[place] ^= 4
        path.write_bytes(damaged)
        with pytest.raises(MisconfigurationException, match="is damaged or no archive"):
            download_stanford_cars(tmp_path / "data/cars", str(path))


@pytest.mark.parametrize("kind", ["tar", "zip"])
@pytest.mark.parametrize("name", ["../evil.txt", "/evil.txt", "a/../../evil.txt", "link"])
def test_archives_cannot_write_outside(tmp_path: Path, name: str, kind: str) -> None:
    path = tmp_path / f"hostile.{kind}"
    if kind == "tar":
        with tarfile.open(path, "w") as members:
            member = tarfile.TarInfo(name)
            if name == "link":
                member.type, member.linkname = tarfile.SYMTYPE, "../../.."
            members.addfile(member)
    elif name == "link":
        pytest.skip("a link in a .zip becomes a text file")
    else:
        with zipfile.ZipFile(path, "w") as packed:
            packed.writestr(name, "evil")
    inside = kind == "tar" and name[0] == "/"  # Python's own filter makes these relative
    message = "no data set was recognised" if inside else r"hostile\.\w+ wants to write outside of its folder"
    with pytest.raises(MisconfigurationException, match=message):
        download_stanford_cars(tmp_path / "data/cars", str(path))
    assert not Path("/evil.txt").exists()
    assert len(list(tmp_path.rglob("evil.txt"))) == inside

"""Archives from a local server: resumed where they broke off, and refused where they are damaged or hostile."""

import http.client
import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from lightning.fabric.utilities.exceptions import MisconfigurationException
from PIL import Image

from datamodules import StanfordCarsDataModule
from datamodules.download import download_stanford_cars
from datamodules.layouts import CAR_NAMES
from datamodules.layouts.official_annotations import COUNTS
from tests.support.hub_server import HubServer
from tests.support.stanford_cars_mirror import colour
from tests.support.stanford_cars_mirror import few as few
from tests.support.stanford_cars_mirror import files as files
from tests.support.stanford_cars_mirror import hub as hub

pytestmark = pytest.mark.slow


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


def test_a_broken_answer_of_unknown_length_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> bool:
        raise http.client.IncompleteRead(b"1")

    monkeypatch.setattr("datamodules.download.archives._fetch_rest", broken)
    with pytest.raises(MisconfigurationException, match=r"Can't fetch http://127.0.0.1/cars.tgz: IncompleteRead"):
        download_stanford_cars(tmp_path / "cars", "http://127.0.0.1/cars.tgz")

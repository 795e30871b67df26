"""Pictures that are kept from one epoch to the next are the same ones, whoever is killed while they are written."""

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from datamodules.cache import cache_folder
from datamodules.cache.cache_folder import CacheFolder
from datamodules.cache.picture_cache import PictureCache, key_of
from datamodules.loading.sampler_key import SamplerKey
from tests.support.checkout import CHECKOUT

KEY = bytes(range(16))
SMALL = 160  # pixels for which the drawn cars are too small to be shrunk


def picture(value: int = 7) -> np.ndarray[Any, Any]:
    return np.full((6, 5, 3), value, np.uint8)


def refuse() -> Any:
    raise AssertionError("it should have been found")


@pytest.fixture(autouse=True)
def memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    folder = tmp_path / "memory"
    folder.mkdir()
    monkeypatch.setattr(cache_folder, "_MEMORY", folder)
    monkeypatch.delenv("MASTER_PORT", raising=False)
    return folder


def test_a_picture_is_made_once(tmp_path: Path) -> None:
    cache = PictureCache(tmp_path, 10_000)
    assert cache.get(KEY, picture).tobytes() == picture().tobytes()
    found = PictureCache(tmp_path, 0).get(KEY, refuse)
    assert np.array_equal(found, picture())
    found[:] = 0  # a step may work in place
    assert np.array_equal(cache.get(KEY, refuse), picture())


@pytest.mark.parametrize("damage", [b"", b"CSPX", None, "cut", "zeros", "other key"])
def test_what_is_not_right_is_made_anew(tmp_path: Path, damage: Any) -> None:
    cache = PictureCache(tmp_path, 10_000)
    cache.get(KEY, picture)
    (file,) = (path for path in tmp_path.rglob("*") if path.is_file())
    whole = file.read_bytes()
    contents = {
        "cut": whole[:-1],
        "zeros": whole[:50] + bytes(len(whole) - 50),
        "other key": whole[:4] + bytes(16) + whole[20:],
    }
    file.write_bytes(contents.get(damage, damage or bytes(len(whole))))
    assert np.array_equal(cache.get(KEY, picture), picture())
    assert file.read_bytes() == whole


def test_a_full_cache_makes_each_time(tmp_path: Path) -> None:
    cache = PictureCache(tmp_path, 200)  # one of these has 90 bytes and 40 before them
    cache.get(KEY, picture)
    other = bytes(16)
    for value in (1, 2):
        assert np.array_equal(cache.get(other, partial(picture, value)), picture(value))
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 1


def test_a_key_follows_from_the_file_and_its_use(tmp_path: Path) -> None:
    file = tmp_path / "a.jpg"
    file.write_bytes(b"one")
    keys = {key_of(str(file), None, "a"), key_of(str(file), (0, 0, 1, 1), "a"), key_of(str(file), None, "b")}
    file.write_bytes(b"other")
    keys.add(key_of(str(file), None, "a"))
    os.utime(file, ns=(1, 1))
    keys.add(key_of(str(file), None, "a"))
    assert len(keys) == 5


@pytest.mark.parametrize("kind", ["ram", "disk"])
@pytest.mark.parametrize("workers", [0, 2])
def test_epochs_are_those_without_a_cache(
    toy_data: Callable[..., Any], tmp_path: Path, kind: str, workers: int
) -> None:
    def epochs(**options: Any) -> list[torch.Tensor]:
        data = toy_data(num_workers=workers, image_size=SMALL, **options)
        data.prepare_data()
        data.setup("fit")
        loader = data.train_dataloader()
        batches = []
        for epoch in range(3):
            loader.sampler.set_epoch(epoch)
            batches += [images.clone() for images, _ in loader]
        return batches + [images.clone() for _ in range(2) for images, _ in data.val_dataloader()]

    kept = epochs(cache=kind, cache_dir=str(tmp_path / "cache"))
    for mine, theirs in zip(kept, epochs(), strict=True):
        assert torch.equal(mine, theirs)
    if kind == "disk":
        assert len([path for path in (tmp_path / "cache").rglob("*") if path.is_file()]) == 80


def test_second_epochs_read_no_file(toy_data: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    data = toy_data(cache="ram")
    data.prepare_data()
    data.setup("fit")
    for split in ("train", "val"):
        dataset = data.datasets[split]
        first = [dataset[SamplerKey(1, index)][0] for index in range(len(dataset))]
        monkeypatch.setattr(dataset, "read", lambda *_: refuse())
        for index, image in enumerate(first):
            assert torch.equal(dataset[SamplerKey(1, index)][0], image)


def test_memory_is_given_back(memory: Path) -> None:
    folder = CacheFolder("ram")
    folder.cache(1).get(KEY, picture)
    assert folder.path.is_dir()
    assert memory in folder.path.parents
    path = folder.path
    del folder
    assert not path.exists()


def test_the_last_device_gives_it_back(memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASTER_PORT", "12345")
    first, second = CacheFolder("ram"), CacheFolder("ram")
    assert first.path == second.path
    path = first.path
    first.cache(1).get(KEY, picture)
    del first
    assert np.array_equal(second.cache(1).get(KEY, refuse), picture())
    del second
    assert not path.exists()


@pytest.mark.slow
def test_what_a_killed_run_left_is_removed(memory: Path) -> None:
    program = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "import numpy as np\n"
        "from datamodules.cache import cache_folder\n"
        f"cache_folder._MEMORY = Path({str(memory)!r})\n"
        "folder = cache_folder.CacheFolder('ram')\n"
        "folder.cache(1).get(bytes(16), lambda: np.zeros((2, 2, 3), np.uint8))\n"
        "print(folder.path, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=CHECKOUT, capture_output=True, text=True)
    assert done.stdout, done.stderr
    left = Path(done.stdout.strip())
    assert left.is_dir()
    alive = CacheFolder("ram")
    assert not left.exists()
    another = CacheFolder("disk", str(memory / "disk"))
    assert alive.path.is_dir()
    assert another.path.is_dir()


def test_a_full_cache_is_told_once(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    folder = CacheFolder("disk", str(tmp_path / "cache"), 131)
    folder.cache(1).get(KEY, picture)
    for _ in range(2):
        folder.tell_if_full()
    (warning,) = (one for one in recwarn if one.category is UserWarning)  # no file that another test left open
    assert str(tmp_path / "cache") in str(warning.message)
    assert "raise data.cache_gb" in str(warning.message)


def test_a_containers_memory_counts(memory: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(cache_folder, "_CONTAINER", tmp_path)
    (tmp_path / "memory.max").write_text("3000\n")
    (tmp_path / "memory.current").write_text("1000\n")
    folder = CacheFolder("ram")
    assert folder.limit == 1000
    assert folder.cache(2).budget == 500
    (tmp_path / "memory.max").write_text("max\n")
    monkeypatch.setattr(cache_folder, "_MEMINFO", tmp_path / "meminfo")
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable:    4 kB\n")
    assert CacheFolder("ram").limit == 2048


def test_a_used_folder_is_not_an_abandoned_one(memory: Path) -> None:
    folder = CacheFolder("ram")
    handle = os.open(folder.path / ".lock", os.O_RDWR)
    with pytest.raises(BlockingIOError):
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(handle)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["ram", "disk"])
def test_a_run_with_a_cache_ends_as_one_without(
    run: Callable[..., None], scores_of: Callable[..., dict[str, Any]], tmp_path: Path, kind: str
) -> None:
    short = [f"--data.image_size={SMALL}", "--trainer.max_epochs=2"]
    run("fit", *short)
    expected = scores_of("fit_scores.json")
    run("fit", *short, f"--data.cache={kind}", f"--data.cache_dir={tmp_path / 'cache'}", "--name=cached")
    (file,) = (tmp_path / "logs").rglob("cached/**/fit_scores.json")
    found = json.loads(file.read_text())
    assert {**found, "checkpoint": ""} == {**expected, "checkpoint": ""}


def test_other_words_are_refused(mistake: Callable[..., str]) -> None:
    assert "'none', 'ram', 'disk'" in mistake("fit", "--data.cache=memory")
    assert "data.cache_gb is -1.0" in mistake("fit", "--data.cache=ram", "--data.cache_gb=-1")

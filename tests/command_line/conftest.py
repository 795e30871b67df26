"""Fixtures of the tests of the command line."""

from pathlib import Path

import pytest


@pytest.fixture
def home(tmp_path: Path, toy_root: Path, toy_set: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "cars").symlink_to(toy_root)
    photos = toy_set / "cars_test"
    (folder / "photos").symlink_to(photos)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("CARS", str(folder / "cars"))
    monkeypatch.delenv("NOT_SET", raising=False)
    return folder

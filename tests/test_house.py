"""The rules of the house: which room may know which, and how large a file may grow."""

import ast
import importlib
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parent.parent
FORBIDDEN = {
    "datamodules": {"lightning_modules", "callbacks", "train"},
    "lightning_modules": {"datamodules", "callbacks", "train"},
    "callbacks": {"datamodules", "train"},
    "configs": {"datamodules", "lightning_modules", "callbacks", "train"},
}


@pytest.mark.parametrize("room", FORBIDDEN)
def test_rooms_import_only_what_they_may(room: str) -> None:
    for path in (CHECKOUT / room).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            assert not {name.split(".")[0] for name in names} & FORBIDDEN[room], path


def test_files_hold_one_idea_each() -> None:
    for room in FORBIDDEN:
        for path in (CHECKOUT / room).rglob("*.py"):
            assert len(path.read_text().splitlines()) <= 260, path
            assert "util" not in path.name


@pytest.mark.parametrize("path", sorted((CHECKOUT / "benchmarks").glob("*.py")), ids=lambda path: path.stem)
def test_benchmarks_start_as_they_say(path: Path) -> None:
    module = importlib.import_module(f"benchmarks.{path.stem}")
    assert f"\npython -m benchmarks.{path.stem} " in str(module.__doc__)
    assert callable(module.main)

"""Which package may import which, and how large a file may grow."""

import ast
import importlib
from pathlib import Path

import pytest

from tests.support.checkout import CHECKOUT

MAY_IMPORT = {
    "runs": set(),
    "datamodules": set(),
    "results": {"runs"},
    "lightning_modules": {"runs"},
    "callbacks": {"lightning_modules", "runs", "results"},
    "command_line": {"callbacks", "lightning_modules", "runs", "results", "datamodules"},
}
BENCHMARKS = [path for path in sorted((CHECKOUT / "benchmarks").rglob("*.py")) if "\ndef main(" in path.read_text()]
MAY_READ_PHOTOGRAPHS = "lightning_modules/photograph_classifier.py"  # one file, by one module, when it is asked to


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_packages_import_only_what_they_may(package: str) -> None:
    forbidden = {*MAY_IMPORT, "carspotter", "configs", "train", "tests", "benchmarks"} - MAY_IMPORT[package] - {package}
    for path in (CHECKOUT / package).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if path == CHECKOUT / MAY_READ_PHOTOGRAPHS:
                names = [name for name in names if name != "datamodules.photographs.given_photographs"]
            assert not {name.split(".")[0] for name in names} & forbidden, path


def test_words_are_read_without_the_parser_and_help_without_commands() -> None:
    may = {"arguments": {"loggers", "remote_runs", "trusted_classes"}, "parsing": {"arguments", "trusted_classes"}}
    may["help"] = {*may["parsing"], "parsing", "encoding", "run_command"}
    for package, allowed in may.items():
        for path in (CHECKOUT / "command_line" / package).glob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.ImportFrom) and str(node.module).startswith("command_line."):
                    assert str(node.module).split(".")[1] in allowed | {package}, path


def test_files_hold_one_idea_each() -> None:
    for package in MAY_IMPORT:
        for path in (CHECKOUT / package).rglob("*.py"):
            assert len(path.read_text().splitlines()) <= 260, path
            assert "util" not in path.name


def test_the_door_holds_no_logic_and_configs_no_code() -> None:
    assert len((CHECKOUT / "train.py").read_text().splitlines()) < 60
    assert not list((CHECKOUT / "configs").rglob("*.py"))


@pytest.mark.parametrize("path", BENCHMARKS, ids=lambda path: path.stem)
def test_benchmarks_start_as_they_say(path: Path) -> None:
    name = ".".join(path.relative_to(CHECKOUT).with_suffix("").parts)
    module = importlib.import_module(name)
    assert f"\npython -m {name} " in str(module.__doc__)
    assert callable(module.main)

"""Paths in options and configs mean the same wherever a command is started."""

import json
import re
from pathlib import Path

import pytest
import yaml
from jsonargparse import Namespace, dict_to_namespace

from command_line.arguments import paths, relative_paths
from command_line.arguments.paths import expand_paths
from command_line.arguments.relative_paths import data_paths
from command_line.arguments.stored_config import is_elsewhere
from command_line.help.option_help import all_options
from runs.run import Run

# names, no paths
_NAMES = {"experiment", "data.class_folders"}
# what a run's config says and no later command on the run reads
_OF_THE_MOMENT = {
    "logs", "ckpt_path", "trainer.default_root_dir", "predictions.file", "data.source", "data.predict_dir",
}  # fmt: skip


def options_with_paths() -> set[str]:
    """All options that are texts, and whose descriptions say that the text names something on the disk."""
    texts = re.compile(r"\b(files?|folders?|CSV|path)\b", re.IGNORECASE)
    return {
        name
        for name, option in all_options().items()
        if "string" in json.dumps(option) and texts.search(option.get("description", ""))
    } - _NAMES


def test_all_options_that_are_paths_are_expanded_and_those_of_a_run_count_from_its_directory() -> None:
    sections = {f"{section}.{name}" for section, names in paths._OF_SECTIONS.items() for name in names}
    data = {f"data.{name}" for name in paths._OF_DATA}
    only_of_others = {"output", "folder", "unknown", "space"}  # no options of fit, which the schema describes
    assert options_with_paths() == {*paths._OF_COMMANDS} - only_of_others | sections | data
    relative = {f"data.{name}" for name in relative_paths._OF_DATA}
    relative |= {f"{section}.{name}" for section, name in relative_paths._OF_SECTIONS.items()}
    assert options_with_paths() - _OF_THE_MOMENT == relative


def test_home_and_variables_are_expanded_in_all_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    data = dict.fromkeys(paths._OF_DATA, "~/x")
    sections = {name: dict.fromkeys(names, "$HOME/x") for name, names in paths._OF_SECTIONS.items()}
    commands = dict.fromkeys(paths._OF_COMMANDS, "~/x")
    sections["trainer"]["logger"] = "false"
    config: Namespace = dict_to_namespace({**commands, **sections, "data": {"init_args": data}})
    config.trainer.logger = False
    expand_paths(config)
    config.trainer.logger = f"{tmp_path}/x"
    assert {*vars(config.as_flat()).values()} == {f"{tmp_path}/x"}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run that began in the folder ``project``, and commands that are started beside it."""
    project = tmp_path / "project"
    found = Run(project / "logs/run")
    found.folder.mkdir(parents=True)
    found.history.append("began", directory=str(project))
    (tmp_path / "beside").mkdir()
    monkeypatch.chdir(tmp_path / "beside")
    return found


def test_a_run_takes_its_own_files_and_not_those_of_the_same_name_elsewhere(run: Run, tmp_path: Path) -> None:
    values = {name: f"{name}.x" for name in relative_paths._OF_DATA}
    sections = {section: {name: f"{name}.x"} for section, name in relative_paths._OF_SECTIONS.items()}
    (run.folder / "config.yaml").write_text(yaml.safe_dump({"data": {"init_args": values}, **sections}))
    assert data_paths(run) == []  # the project has been moved
    names = [*values.values(), *(name for section in sections.values() for name in section.values())]
    for folder in ("project", "beside"):
        for name in names:
            (tmp_path / folder / name).touch()
    assert [option.rpartition("=")[2] for option in data_paths(run)] == [f"{tmp_path}/project/{name}" for name in names]


def test_pictures_of_none_of_the_classes_may_lie_in_several_places(run: Run, tmp_path: Path) -> None:
    config = {"data": {"init_args": {"root": "s3://bucket/cars"}}, "report": {"unknown": ["a", "/b", "c/*.jpg"]}}
    (run.folder / "config.yaml").write_text(yaml.safe_dump(config))
    (tmp_path / "project/a").mkdir()
    assert data_paths(run) == [f'--report.unknown=["{tmp_path}/project/a", "/b", "c/*.jpg"]']


def test_a_runs_own_data_are_known_from_another_directory(run: Run, tmp_path: Path) -> None:
    content = {"config": "data: {init_args: {root: photos}}"}
    own, other = tmp_path / "project/photos", tmp_path / "beside/photos"
    own.mkdir()
    other.mkdir()
    assert not is_elsewhere(content, str(own), True, run)
    assert is_elsewhere(content, str(other), True, run)
    assert is_elsewhere(content, "photos", True, run)
    assert not is_elsewhere(content, "photos", True, None)  # of a checkpoint alone nobody knows where it was trained
    own.rmdir()  # the project has been moved
    assert not is_elsewhere(content, "photos", True, run)

"""Finds the data of a run, and its teacher, from any directory."""

from pathlib import Path

import yaml
from lightning.pytorch.utilities import rank_zero_info

from runs.run import Run

_OF_DATA = ("root", "exclude")


def data_paths(run: Run) -> list[str]:
    """Write the paths of a run's config so that they lead to where they led when the run began.

    A path that is relative there counts from the directory in which the run began, if it still leads somewhere; else,
    as where a project has been moved, from the present one.

    Args:
        run: The run.

    Returns:
        Options for the parser, to follow the config; none where the paths lead to the same places as they are.
    """
    event = run.history.last("began")
    directory = event.facts.get("directory") if event else None
    if not isinstance(directory, str) or run.config is None:
        return []
    try:
        config = yaml.safe_load(run.config.read_text(encoding="utf-8"))
        given = {f"data.init_args.{name}": config["data"]["init_args"].get(name) for name in _OF_DATA}
        given["distillation.teacher"] = (config.get("distillation") or {}).get("teacher")
        paths = {option: path for option, path in given.items() if isinstance(path, str)}
    except (OSError, ValueError, yaml.YAMLError, KeyError, TypeError, AttributeError):
        return []  # what is wrong with the config, the parser says
    options = []
    for option, path in paths.items():
        meant = Path(directory) / path
        if meant.exists() and meant.resolve() != Path(path).resolve():
            rank_zero_info(f"{option.replace('init_args.', '')} is {meant}: {path}, from where the run began.")
            options.append(f"--{option}={meant}")
    return options

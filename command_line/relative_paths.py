"""Finds the data of a run from any directory."""

from pathlib import Path

import yaml
from lightning.pytorch.utilities import rank_zero_info

from runs.run import Run

_PATHS = ("root", "exclude")  # of the data module


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
        given = config["data"]["init_args"]
        paths = {name: given[name] for name in _PATHS if isinstance(given.get(name), str)}
    except (OSError, ValueError, yaml.YAMLError, KeyError, TypeError, AttributeError):
        return []  # what is wrong with the config, the parser says
    options = []
    for name, path in paths.items():
        meant = Path(directory) / path
        if meant.exists() and meant.resolve() != Path(path).resolve():
            rank_zero_info(f"data.{name} is {meant}: {path}, from where the run began.")
            options.append(f"--data.init_args.{name}={meant}")
    return options

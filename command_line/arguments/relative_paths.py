"""Finds the data of a run, and its teacher, from any directory."""

import json
from pathlib import Path

import yaml
from lightning.pytorch.utilities import rank_zero_info

from runs.run import Run

# not what is read but once: photographs to classify, and archives to download
_OF_DATA = ("root", "exclude", "corrected_labels", "chunks", "cache_dir")
_OF_SECTIONS = {"model": "weights", "distillation": "teacher", "report": "unknown"}


def data_paths(run: Run) -> list[str]:
    """Write the paths of a run's config so that they lead to where they led when the run began.

    Args:
        run: The run.

    Returns:
        Options for the parser, to follow the config; none where the paths lead to the same places as they are.
    """
    if run.config is None:
        return []
    try:
        config = yaml.safe_load(run.config.read_text(encoding="utf-8"))
        given = {f"data.init_args.{name}": config["data"]["init_args"].get(name) for name in _OF_DATA}
        given |= {f"{section}.{name}": (config.get(section) or {}).get(name) for section, name in _OF_SECTIONS.items()}
    except (OSError, ValueError, yaml.YAMLError, KeyError, TypeError, AttributeError):
        return []  # what is wrong with the config, the parser says
    options = []
    for option, value in given.items():
        paths = [value] if isinstance(value, str) else value if isinstance(value, list) else []
        meant = [_meant(run, path) for path in paths]
        if meant == paths:
            continue
        for path, place in zip(paths, meant, strict=True):
            if path != place:
                rank_zero_info(f"{option.replace('init_args.', '')} is {place}: {path}, from where the run began.")
        options.append(f"--{option}={meant[0] if isinstance(value, str) else json.dumps(meant)}")
    return options


def _meant(run: Run, path: str) -> str:
    meant = run.path_meant(path)
    return path if meant.resolve() == Path(path).resolve() else str(meant)

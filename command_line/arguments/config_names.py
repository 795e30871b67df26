"""Finds the config file that a mistyped name means."""

from difflib import get_close_matches
from pathlib import Path

from runs.commands import shown

SUFFIXES = (".yaml", ".yml", ".json")
_CONFIGS = Path(__file__).parents[2] / "configs"


def installed_config(name: str) -> Path | None:
    """Find a config of this project from any folder.

    Args:
        name: What was typed.

    Returns:
        ``configs/demo.yaml`` of this project for ``configs/demo.yaml``, unless the working directory has one of its
        own; None for any other name.
    """
    path = _CONFIGS.parent / name
    try:
        own = Path(name).parts[:1] == (_CONFIGS.name,) and not Path(name).exists()
        return path if own and path.is_file() else None
    except (OSError, ValueError):  # no name of a file
        return None


def is_config_file(config: str) -> bool:
    """Check whether a config is given as a file, and not as text, which may be too long for the name of one.

    Args:
        config: What follows ``--config``.

    Returns:
        Whether there is such a file.
    """
    try:
        return Path(config).is_file()
    except (OSError, ValueError):
        return False


def config_meant(name: str) -> Path | None:
    """Find the config file nearest to one that doesn't exist: in its folder, and among those of this project.

    Args:
        name: What was typed: ``demo``, ``configs/demo.yml``, ``backbone/resnet5O`` for instance.

    Returns:
        The file, relative to the working directory where it lies below it; None if there is none like it.
    """
    wanted = Path(name)
    files = [*_files(wanted.parent, "*"), *_files(_CONFIGS, "**/*")]
    stems = {file.stem.lower(): file for file in reversed(files)}
    stem = wanted.stem if wanted.suffix in SUFFIXES else wanted.name
    ends = (*(part.lower() for part in wanted.parent.parts[-1:]), stem.lower())
    for file in files:
        if len(ends) == 2 and (file.parent.name.lower(), file.stem.lower()) == ends:
            return shown(file)
    near = get_close_matches(stem.lower(), stems, n=1) or [name for name in sorted(stems) if name.startswith(ends[-1])]
    return shown(stems[near[0]]) if near and stem else None


def _files(folder: Path, pattern: str) -> list[Path]:
    try:
        return sorted(path for path in folder.glob(pattern) if path.suffix in SUFFIXES and path.is_file())
    except (OSError, ValueError):  # no name of a folder
        return []

"""Names the package that a logger or a callback needs, and the command that installs it."""

import re
from traceback import walk_tb
from types import TracebackType

from lightning import Trainer
from lightning.fabric.utilities.exceptions import MisconfigurationException

# How Python, Lightning's RequirementCache and Lightning's classes say it, the clearest first.
_PACKAGE = re.compile(
    r"pip install (?:-U |--upgrade )*['\"`]?([\w.\-]+)|Requirement '([\w.\-]+)|requires `([\w.\-]+)`"
    r"|Module not found: '?([\w\-]+)|No module named '([\w\-]+)"
)
_QUOTED = re.compile(r"Problem with given class_path '[\w.]*?(\w+)':\s*(.*)")


def missing_package(error: BaseException | None) -> MisconfigurationException | None:
    """Turn an import that failed while a class was built into a sentence.

    Args:
        error: What was raised; jsonargparse wraps it, or keeps its text alone.

    Returns:
        The error to raise instead; None if no import is behind it.
    """
    text, cause = str(error), error
    while cause is not None and not isinstance(cause, ImportError):
        cause = cause.__cause__ or cause.__context__
    if cause is not None:
        return _sentence(str(cause), _class_being_built(cause.__traceback__), cause.name)
    quoted = _QUOTED.search(text)
    return _sentence(quoted[2], quoted[1], None) if quoted and _PACKAGE.search(quoted[2]) else None


def _sentence(text: str, name: str | None, module: str | None) -> MisconfigurationException:
    found = _PACKAGE.search(text)
    package = next((name for name in found.groups() if name), None) if found else module
    what = name or "This command"
    if package is None:
        return MisconfigurationException(f"{what} needs a package that can't be imported: {text}.")
    return MisconfigurationException(f"{what} needs the package {package}, which is missing: pip install {package}.")


def _class_being_built(traceback: TracebackType | None) -> str | None:
    """Find the outermost constructor of a logger, callback or other class of a config."""
    for frame, _ in walk_tb(traceback):
        built = frame.f_locals.get("self")
        if frame.f_code.co_name == "__init__" and built is not None and "CLI" not in type(built).__name__:
            return "The trainer" if isinstance(built, Trainer) else type(built).__name__
    return None

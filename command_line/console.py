"""Console output: one line for a mistake, and no noise."""

import errno
import logging
import re
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lightning.fabric.utilities.exceptions import MisconfigurationException

from command_line.loading_failures import loading_failure
from command_line.trusted_classes import OWN
from runs.commands import program

_OWN_LINE = "\r\x1b[K"  # to the line's beginning, and erase it
_TRACEBACK = re.compile(r"^Caught (?s:.*)^[\w.]+(?:Exception|Error): ", re.MULTILINE)
# what says nothing about a run, or what the run's own lines say better
_NO_NEWS = (
    "litlogger",
    "TPU available: False",
    "Loading `train_dataloader` to estimate",
    "Restoring states from the checkpoint path",  # a line on the same checkpoint follows when it has been loaded
    "`Trainer.fit` stopped: `max_epochs=",
    "`weights_only` was not set",  # a search says so of the state that it has put aside itself
    "Restored all states from the checkpoint at",
    "Found current_model_state in the checkpoint",  # of every run with averaged weights
)
_FEW_WORKERS = re.compile(r"The '(\w+)' does not have many workers(?s:.*)num_workers=(\d+)`(?s:.*)")
_CHECKOUT = Path(__file__).parent.parent  # or where it is installed, beside other packages
_FORBIDDEN = (errno.EACCES, errno.EPERM)
_DISK_ERRORS = (*_FORBIDDEN, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.ENOTDIR, errno.ENAMETOOLONG)


@contextmanager
def mistakes_in_one_line() -> Iterator[None]:
    """Turn a user's mistake into one line and exit code 1, where it would end in a traceback.

    Yields:
        Nothing.

    Raises:
        SystemExit: If the user made a mistake, the disk can't be used, or images can't be loaded.
    """
    try:
        yield
    except (MisconfigurationException, ValueError) as error:
        cause = error if isinstance(error, MisconfigurationException) else error.__cause__  # links wrap what they meet
        if not isinstance(cause, MisconfigurationException):
            raise
        # an error in a loading process carries that process's traceback, which the message follows
        message = _TRACEBACK.split(str(cause))[-1]
        sys.exit(f"{program()}: error: {' '.join(message.split())}")
    except SystemExit as stop:
        if isinstance(stop.__context__, KeyboardInterrupt) and stop.code == 1:  # Lightning's, at the second Ctrl-C
            sys.exit(128 + signal.SIGINT)
        raise
    except RuntimeError as error:
        failure = loading_failure(error)
        if failure is None:
            raise
        sys.exit(f"{program()}: error: {failure}")
    except OSError as error:
        if error.errno not in _DISK_ERRORS:
            raise
        done = "read or write" if error.errno in _FORBIDDEN else "write"
        sys.exit(f"{program()}: error: Can't {done} {error.filename or 'a file'}: {error.strerror}.")


def quieten() -> None:
    """Leave out what is of no use to the user, and say the rest without line numbers of source files."""
    for name in ("utilities.rank_zero", "trainer.connectors.checkpoint_connector"):
        logging.getLogger(f"lightning.pytorch.{name}").addFilter(_is_news)
    for name in ("pytorch", "fabric"):
        for handler in logging.getLogger(f"lightning.{name}").handlers:
            if isinstance(handler, logging.StreamHandler) and handler.formatter is None and handler.stream.isatty():
                handler.setFormatter(_OwnLine())
    warnings.formatwarning = _format_warning
    warnings.filterwarnings("ignore", message=r".*isinstance\(treespec, LeafSpec\)")
    warnings.filterwarnings("ignore", message="Experiment logs directory")  # what was there is kept (loggers.py)
    warnings.filterwarnings("ignore", message=r".*sync_dist=True")  # torchmetrics has them synchronised already
    warnings.filterwarnings("ignore", message=r".*module\(s\) in eval mode")  # frozen layers are, on purpose
    warnings.filterwarnings("ignore", message="You're using the WeightAveraging callback")  # nothing is built late here
    warnings.filterwarnings("ignore", message="The `srun` command is available")  # on each machine of a cluster
    warnings.filterwarnings("ignore", message=".*intended to run from within Python like if it were from the command")


class _OwnLine(logging.Formatter):
    """Takes the place of a progress bar, which is drawn anew below."""

    def format(self, record: logging.LogRecord) -> str:
        return f"{_OWN_LINE}{super().format(record)}"


def _is_news(record: logging.LogRecord) -> bool:
    message = record.getMessage()
    return not any(line in message for line in _NO_NEWS)


def _format_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    line: str | None = None,  # noqa: ARG001
) -> str:
    text = _FEW_WORKERS.sub(r"Few processes load images for \1: data.num_workers may go up to \2 here.", str(message))
    place = Path(filename)
    inside = place.relative_to(_CHECKOUT).parts if place.is_relative_to(_CHECKOUT) else ()
    own = bool(inside) and (inside[0] in OWN or "site-packages" not in place.parts)
    own |= "lightning" in place.parts and issubclass(category, UserWarning)  # most of them come from here, and ours do
    place_of_bar = _OWN_LINE if sys.stderr.isatty() else ""
    more = "" if own else f" ({category.__name__}, {filename}:{lineno})"
    return f"{place_of_bar}warning: {text}{more}\n"

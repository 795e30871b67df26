"""What a command says: one line for a mistake, and no noise."""

import errno
import logging
import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from lightning.fabric.utilities.exceptions import MisconfigurationException

_TRACEBACK = re.compile(r"^Caught (?s:.*)^[\w.]+(?:Exception|Error): ", re.MULTILINE)
_DISK_ERRORS = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.ENOTDIR)


@contextmanager
def mistakes_in_one_line() -> Iterator[None]:
    """Turn a user's mistake into one line and exit code 1, where it would end in a traceback.

    Yields:
        Nothing.

    Raises:
        SystemExit: If the user made a mistake, or the disk can't be written to.
    """
    try:
        yield
    except (MisconfigurationException, ValueError) as error:
        cause = error if isinstance(error, MisconfigurationException) else error.__cause__  # links wrap what they meet
        if not isinstance(cause, MisconfigurationException):
            raise
        # an error in a loading process carries that process's traceback, which the message follows
        message = _TRACEBACK.split(str(cause))[-1]
        sys.exit(f"train.py: error: {' '.join(message.split())}")
    except OSError as error:
        if error.errno not in _DISK_ERRORS:
            raise
        sys.exit(f"train.py: error: Can't write {error.filename or 'a file'}: {error.strerror}.")


def quieten() -> None:
    """Leave out what is no news to the user: an advertisement, and warnings of what this project does on purpose."""
    console = logging.getLogger("lightning.pytorch.utilities.rank_zero")
    console.addFilter(lambda record: "litlogger" not in record.getMessage())
    warnings.filterwarnings("ignore", message=r".*isinstance\(treespec, LeafSpec\)")
    warnings.filterwarnings("ignore", message=r".*sync_dist=True")  # torchmetrics has them synchronised already
    warnings.filterwarnings("ignore", message=r".*module\(s\) in eval mode")  # frozen layers are, on purpose
    warnings.filterwarnings("ignore", message=".*intended to run from within Python like if it were from the command")

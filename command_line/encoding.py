"""Names of files are UTF-8 whatever the locale, and any text can be printed on any console."""

import io
import os
import sys


def restart_in_utf8() -> None:
    """Restart the process where the locale makes Python decode file names as something other than UTF-8.

    Else names that are read from files, as those of a config, couldn't be found on the disk (``LC_ALL=C``); Python
    chooses their encoding before anything of a program runs. The console keeps its own encoding.
    """
    if os.name != "posix" or sys.flags.utf8_mode or sys.getfilesystemencoding() == "utf-8":
        return
    console = os.environ.get("PYTHONIOENCODING") or f"{sys.stdout.encoding}:backslashreplace"
    environment = {**os.environ, "PYTHONIOENCODING": console, "PYTHONUTF8": "1"}
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)  # noqa: S606 - this very command


def print_any_text() -> None:
    r"""Show what the console can't encode by number, as ``\u65e5``, where it would be an error.

    Bytes of file names that aren't UTF-8 are printed the same way, on any console.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")

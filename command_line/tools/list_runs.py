"""The command ``runs``: a table of all runs."""

import re
import shutil
import sys
from pathlib import Path
from typing import Any

from lightning.fabric.utilities.exceptions import MisconfigurationException

from results.run_table import FACTS, TESTED_ON, Row, is_score, rows_csv, run_rows
from results.tables import write_csv
from results.text_table import display_width, text_table
from runs.commands import address, program
from runs.finding import find_runs
from runs.suggestions import did_you_mean

_LAST = ("run", "state")  # stay until the end


def list_runs(folder: Path, sort: str, output: Path | None) -> None:
    """Print the runs below a folder, and write them to a file if asked.

    Args:
        folder: Where to look.
        sort: Column to sort by; with a minus before it, the largest first.
        output: CSV file to write, with all columns.

    Raises:
        MisconfigurationException: If there is no run, or no such column.
    """
    place = address(folder)
    if not folder.is_dir():
        raise MisconfigurationException(f"There is no folder {place}: give the one that holds the runs.")
    columns, rows = run_rows(sorted(find_runs(folder), key=lambda run: run.begun), folder)
    if not rows:
        raise MisconfigurationException(f"There is no run in {place}: train one by {program()} fit --config FILE.")
    key = sort.removeprefix("-")
    if key not in columns:
        hint = did_you_mean(key, columns) or f" There are {', '.join(columns)}."
        raise MisconfigurationException(f"--sort is {sort}, which is not a column.{hint}")
    known = sorted((row for row in rows if _is_known(row.get(key))), key=lambda row: _order(row[key]))
    unknown = [row for row in rows if not _is_known(row.get(key))]
    rows = [*(reversed(known) if sort.startswith("-") else known), *unknown]
    if output is not None:
        _refuse_foreign(output)
        write_csv(output, rows_csv(columns, rows))
    shown, lines = _fit(columns, rows)
    print("\n".join(lines))  # noqa: T201 - the result
    if len(shown) < len(columns):
        left = ", ".join(name for name in columns if name not in shown)
        print(f"not shown, --output FILE.csv writes them too: {left}")  # noqa: T201
    if output is not None:
        print(f"all columns: {output}")  # noqa: T201


def _refuse_foreign(output: Path) -> None:
    """Refuse to replace what isn't a table of runs."""
    try:
        head = output.read_text(encoding="utf-8-sig", errors="replace").partition("\n")[0]
    except FileNotFoundError:
        return
    except OSError as error:
        raise MisconfigurationException(f"Can't write --output {output}: {error.strerror}.") from error
    if not head.startswith(",".join(FACTS[:2])):
        raise MisconfigurationException(f"--output is {output}, which exists and is no table of runs: choose another.")


def _is_known(value: Any) -> bool:
    """Tell values from missing ones, and from scores that are no numbers, which no order has a place for."""
    return value is not None and value == value  # NaN alone differs from itself


def _order(value: Any) -> tuple[int, Any]:
    """Sort numbers before texts, and numbers in texts by their value: 2/30 before 10/30."""
    if isinstance(value, int | float):
        return 0, value
    parts = re.split(r"(\d+)", str(value))  # words and numbers in turn, so that places compare like with like
    return 1, [int(part) if place % 2 else part for place, part in enumerate(parts)]


def _fit(columns: list[str], rows: list[Row]) -> tuple[list[str], list[str]]:
    """Drop columns that don't fit the terminal, scores last; a file or a pipe gets all."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else sys.maxsize
    scores = [name for name in columns if is_score(name)]
    facts = [name for name in FACTS if name not in _LAST]
    options = [name for name in columns if name not in (*FACTS, *scores, TESTED_ON)]
    less = [name for name in scores if not name.endswith("/accuracy")]
    to_drop = [*reversed(options), *reversed(facts), *reversed(less)]
    shown = list(columns)
    while True:
        lines = text_table(shown, [[_cell(name, row.get(name)) for name in shown] for row in rows])
        if max(map(display_width, lines)) <= width or not to_drop:
            return shown, lines
        shown.remove(to_drop.pop(0))


def _cell(name: str, value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4f}" if "/" in name else f"{value:g}"
    return "-" if value is None else str(value)

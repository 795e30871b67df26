"""What is wrong in the rows of a table, gathered to be said at once."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from lightning.fabric.utilities.exceptions import MisconfigurationException

from datamodules.in_words import listed


class TableFaults:
    """Gathers faults of rows.

    Args:
        path: The table.
        lines: The line of each row, counting from 1; empty where the table has no lines, as Parquet.
    """

    def __init__(self, path: Path, lines: Sequence[int] = ()) -> None:
        self.path = path
        self._lines = lines
        self._found: list[str] = []

    def add(self, what: str, rows: Iterable[int], expected: str = "") -> None:
        """Note a fault.

        Args:
            what: What the rows have, as in "no label".
            rows: Their positions, counting from 0; without one there is no fault.
            expected: What they have to have instead.
        """
        rows = [int(row) for row in rows]
        if rows:
            self._found.append(f"{what} in {self._where(rows)}" + (f" ({expected})" if expected else ""))

    def refuse(self) -> None:
        """Refuse the table if there are faults.

        Raises:
            MisconfigurationException: With all of them.
        """
        if self._found:
            raise MisconfigurationException(f"{self.path} has {'; '.join(self._found)}.")

    def _where(self, rows: list[int]) -> str:
        noun = ("line" if self._lines else "row") + "s" * (len(rows) > 1)
        return f"{noun} {listed([str(self._lines[row] if self._lines else row + 1) for row in rows])}"

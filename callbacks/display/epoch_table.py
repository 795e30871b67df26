"""A line for each epoch, which stays on the terminal and in log files."""

from collections.abc import Mapping, Sequence

_TITLES = ("train/loss", "val/loss", "val/accuracy", "val/f1")


class EpochTable:
    """Formats the scores of epochs as they come.

    Args:
        epochs: How many there will be; None if that isn't known.
        further: Names of scores to show beside the usual ones, such as what the best checkpoint is chosen by.

    Attributes:
        titles: Names of the scores that are shown where they are known.
    """

    def __init__(self, epochs: int | None, further: Sequence[str] = ()) -> None:
        self._epochs = epochs
        self.titles = [*dict.fromkeys((*_TITLES, *further))]
        self._shown: list[str] | None = None

    def lines(self, epoch: int, scores: Mapping[str, float], seconds: float) -> list[str]:
        """Format an epoch.

        Args:
            epoch: Its number, counting from 1.
            scores: Its scores by logged name.
            seconds: How long it took.

        Returns:
            Its line, after that of the titles if they have changed.
        """
        found = [title for title in self.titles if title in scores or title in (self._shown or ())]
        cells = [self.number(epoch), *(_score(title, scores) for title in found), _duration(seconds)]
        titles = ["epoch", *found, "time"]
        lines = [cells]
        if found != self._shown:
            self._shown = found
            lines = [titles, cells]
        widths = [max(len(self.number(self._epochs or 1)), len("epoch")), *(len(title) for title in found), 7]
        return ["  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in lines]

    def number(self, epoch: int) -> str:
        """Number an epoch, as ``3/15`` where it is known how many there will be."""
        return f"{epoch}/{self._epochs}" if self._epochs else f"{epoch}"


def _score(title: str, scores: Mapping[str, float]) -> str:
    return f"{scores[title]:.4f}" if title in scores else "-"


def _duration(seconds: float) -> str:
    whole = round(seconds)
    hours = f"{whole // 3600}:{whole // 60 % 60:02}" if whole >= 3600 else f"{whole // 60}"
    return f"{hours}:{whole % 60:02}"

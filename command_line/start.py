"""What a command starts from, and where it writes."""

from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.utilities import rank_zero_warn

from datamodules import ImageDataModule
from runs.checkpoints import compare_classes, read_checkpoint
from runs.class_names import ClassNames
from runs.commands import address
from runs.run import Run

Saved: TypeAlias = list[tuple[str, int, int]]


@dataclass
class Start:
    """What a command starts from, and where it writes.

    Attributes:
        experiment: Folder of the experiment's runs.
        folder: The folder that the command writes to: that of a run, or of an evaluation; None for a file alone.
        name: The name that a new run is to have; None counts on from the last version.
        run: The run that is trained or evaluated; None for one that is new, and a checkpoint that belongs to none.
        checkpoint: The checkpoint; None if there is none.
        hyper_parameters: The arguments that its classifier was built with.
        trained_elsewhere: Whether it was trained on another ``data.root``.
        step: The optimizer step from which a run continues in its folder; None for a run that is new.
        saved: The checkpoints that the run had before one of them was chosen: their names, times and sizes.
    """

    experiment: Path = field(default_factory=Path)
    folder: Path | None = None
    name: str | None = None
    run: Run | None = None
    checkpoint: Path | None = None
    hyper_parameters: dict[str, Any] = field(default_factory=dict)
    trained_elsewhere: bool = False
    step: int | None = None
    saved: Saved = field(default_factory=list)

    def note_saved(self, run: Run | None) -> None:
        """Remember which checkpoints a run has, before one is chosen to continue from.

        Args:
            run: The run; None for a new one.
        """
        self.saved = _saved(run)

    def look_again(self) -> None:
        """Read the step again, once no other process trains the run: one that was killed may have been saving still.

        Raises:
            MisconfigurationException: If it has left another checkpoint than the one that was chosen.
        """
        if self.run is None or self.step is None or _saved(self.run) == self.saved:
            return
        last = self.run.find_checkpoint("last")
        if last is None or self.checkpoint is None or not last.samefile(self.checkpoint):
            raise MisconfigurationException(
                f"Another process has saved a checkpoint of {address(self.run.folder)} meanwhile, and has ended: start "
                "the command again, to go on from it."
            )
        self.step = int(read_checkpoint(last).get("global_step", 0))

    def class_names(self, data: ImageDataModule, training: bool) -> list[str]:
        """Take the class names from the data, or for all but ``fit`` from the checkpoint, and label the data by them.

        Args:
            data: The data module.
            training: Whether the command is ``fit``.

        Returns:
            The names in the order of their indices.
        """
        if not training:
            self._compare_preprocessing(data.preprocessing, data.image_size)
            names: list[str] = self.hyper_parameters["class_names"]
            data.relabel(ClassNames(names).find, self.trained_elsewhere)
            return [*names]
        if self.checkpoint:
            compare_classes(self.checkpoint, self.hyper_parameters["class_names"], data.class_names)
        return data.class_names

    def image_size(self, data: ImageDataModule, training: bool) -> int:
        """Take the size of training images from the data, or for all but ``fit`` from the checkpoint.

        Args:
            data: The data module.
            training: Whether the command is ``fit``.

        Returns:
            The side in pixels that the network is built for.
        """
        return int(data.image_size if training else self.hyper_parameters.get("image_size", data.image_size))

    def _compare_preprocessing(self, preprocessing: dict[str, Any], image_size: int) -> None:
        """Warn where images are prepared in another way than they were for the checkpoint."""
        if self.checkpoint and preprocessing != self.hyper_parameters.get("preprocessing"):
            rank_zero_warn(
                f"Images are prepared in another way than {self.checkpoint} was validated with (data.image_size "
                f"{image_size} here, {self.hyper_parameters.get('image_size')} there, or other steps): "
                "the config.yaml of its run has the right one."
            )


def _saved(run: Run | None) -> Saved:
    found: Saved = []
    if run is None:
        return found
    for name in ("last.ckpt", "previous.ckpt"):
        with suppress(OSError):  # there is none, or it is being renamed
            state = (run.checkpoints / name).stat()
            found.append((name, state.st_mtime_ns, state.st_size))
    return found

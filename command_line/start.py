"""What a command starts from, and where it writes."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lightning.pytorch.utilities import rank_zero_warn

from runs.run import Run


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
    """

    experiment: Path = field(default_factory=Path)
    folder: Path | None = None
    name: str | None = None
    run: Run | None = None
    checkpoint: Path | None = None
    hyper_parameters: dict[str, Any] = field(default_factory=dict)
    trained_elsewhere: bool = False
    step: int | None = None

    def compare_preprocessing(self, preprocessing: dict[str, Any], image_size: int) -> None:
        """Warn where images are prepared in another way than they were for the checkpoint.

        Args:
            preprocessing: The evaluation pipeline as plain values.
            image_size: Side of training images in pixels.
        """
        if self.checkpoint and preprocessing != self.hyper_parameters.get("preprocessing"):
            rank_zero_warn(
                f"Images are prepared in another way than {self.checkpoint} was validated with (data.image_size "
                f"{image_size} here, {self.hyper_parameters.get('image_size')} there, or other steps): "
                "the config.yaml of its run has the right one."
            )

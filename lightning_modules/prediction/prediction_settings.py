"""Settings of prediction other than the network and the preprocessing."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Self

import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from torch import Tensor

from lightning_modules.prediction.views import FLIP, SCALES, SHIFT, further_views

_ALIASES = {"16": "16-mixed", "bf16": "bf16-mixed", "32": "32-true", "64": "64-true"}
_BOX_MARGIN = 0.05  # of runs whose config lacks it
_MIXED = {"16-mixed": torch.float16, "bf16-mixed": torch.bfloat16}
_TRUE = {"16-true": torch.float16, "bf16-true": torch.bfloat16, "64-true": torch.float64}


@dataclass(frozen=True)
class PredictionSettings:
    """What the command ``predict`` takes from the config of a run; by default, from one without a config.

    Attributes:
        precision: ``trainer.precision``, as Lightning spells it.
        batch_size: ``data.batch_size``.
        flip: ``tta.flip``.
        scales: ``tta.scales``.
        shift: ``tta.shift``.
        calibrated: ``calibration.enabled``.
        views_in_prediction: Whether ``predict`` averages over views: ``tta.enabled`` and ``tta.predict``.
        box_margin: ``data.box_margin``, where pictures are cut out along boxes (``data.crop_to_box``); else None.
    """

    precision: str = "32-true"
    batch_size: int = 32
    flip: bool = FLIP
    scales: tuple[float, ...] = SCALES
    shift: float = SHIFT
    calibrated: bool = True
    views_in_prediction: bool = False
    box_margin: float | None = None

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Take the settings from a config.

        Args:
            config: The config of a run, as plain values; keys that it lacks keep their defaults.

        Returns:
            The settings.

        Raises:
            MisconfigurationException: If the command would refuse one of the values.
        """
        data = _section(_section(config, "data"), "init_args")
        views = _section(config, "tta")
        precision = str(_section(config, "trainer").get("precision") or cls.precision)
        scales = views.get("scales")
        try:
            return cls(
                precision=_ALIASES.get(precision, precision),
                batch_size=int(data.get("batch_size") or cls.batch_size),
                flip=bool(views.get("flip", cls.flip)),
                scales=cls.scales if scales is None else tuple(map(float, scales)),
                shift=float(views.get("shift") or cls.shift),
                calibrated=bool(_section(config, "calibration").get("enabled", cls.calibrated)),
                views_in_prediction=bool(views.get("enabled", True) and views.get("predict", cls.views_in_prediction)),
                box_margin=float(data.get("box_margin", _BOX_MARGIN)) if data.get("crop_to_box") else None,
            )
        except (TypeError, ValueError) as error:
            raise MisconfigurationException(
                "The config of the run has a data.batch_size, data.box_margin, tta.scales or tta.shift that is no "
                f"number: {error}."
            ) from error

    @property
    def dtype(self) -> torch.dtype | None:
        """The type that the weights have in this precision; None leaves them as they are."""
        return _TRUE.get(self.precision)

    def autocast(self, device: torch.device) -> AbstractContextManager[object]:
        """Compute in mixed precision where the run did, as Lightning does it.

        Args:
            device: Where the network is.

        Returns:
            The context for the forward pass.
        """
        dtype = _MIXED.get(self.precision)
        if dtype is None:
            return nullcontext()
        return torch.autocast(device.type, torch.bfloat16 if device.type == "cpu" else dtype)

    def views(self, images: Tensor) -> Iterator[Tensor]:
        """Make the views of test-time augmentation; arguments and result as in ``further_views``."""
        return further_views(images, self.flip, self.scales, self.shift)


def _section(config: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = config.get(name)
    return found if isinstance(found, Mapping) else {}

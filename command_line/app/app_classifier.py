"""Answers photographs for a page: classes, where the network looked, and whether it is sure enough."""

from threading import Lock
from typing import Any

import numpy as np
from lightning.fabric.utilities.exceptions import MisconfigurationException

from callbacks.heat_maps import HeatMaps
from datamodules.image_dataset import prepared
from datamodules.reading.image_reader import decode_image
from lightning_modules import ImageClassifier
from lightning_modules.preprocessing import pipeline_of
from lightning_modules.temperature import threshold_of
from results.predictions import UNKNOWN
from results.report.pictures import data_uri, seen_by_network, with_heat

_TOP = 5


class AppClassifier:
    """Classifies one photograph at a time, whichever thread asks.

    Args:
        model: The classifier.
        min_confidence: Answer ``unknown`` below this probability.
        coverage: The same with the probability that this share of the validation images reached.

    Attributes:
        min_confidence: The probability below which the answer is ``unknown``; 0 answers always.

    Raises:
        MisconfigurationException: If both are given, one is out of range, or the checkpoint doesn't know the coverage.
    """

    def __init__(self, model: ImageClassifier, min_confidence: float | None, coverage: float | None) -> None:
        for name, value in (("min_confidence", min_confidence), ("coverage", coverage)):
            if value is not None and not 0 < value <= 1:
                raise MisconfigurationException(f"--{name} is {value}: it has to be above 0 and at most 1.")
        if min_confidence is not None and coverage is not None:
            raise MisconfigurationException("--min_confidence and --coverage exclude each other.")
        if coverage is not None and not model.confidences:
            raise MisconfigurationException(
                "--coverage needs a checkpoint of a run that was validated, by this version: give --min_confidence."
            )
        known = [*model.confidences]
        self.min_confidence = (min_confidence or 0.0) if coverage is None else threshold_of(known, coverage)
        self.model = model
        self._pipeline = pipeline_of(model.hparams["preprocessing"], model.hparams["image_size"])
        self._heat_maps: HeatMaps | None = HeatMaps(model)
        try:
            self._heat_maps.find_layer(int(model.hparams["image_size"]))
        except Exception:  # whatever an unusual network leads to: the answers come without maps
            self._heat_maps = None
        self._lock = Lock()

    def answer(self, data: bytes, name: str) -> dict[str, Any]:
        """Classify a photograph as ``predict`` does.

        Args:
            data: The content of an image file.
            name: What to call it.

        Returns:
            Plain values: ``answer``, which may be ``unknown``; ``classes``, the five most probable ones with
            ``class`` and ``probability``; ``picture`` and ``heat_map``, ``data:`` URIs, the latter null without a map.

        Raises:
            UnreadableImageError: If it is no picture, or too large.
        """
        picture = decode_image(data, name)
        with self._lock:  # maps hook into the network, and two photographs at once would take no less time
            found = self.model.classify(picture, tta=self.model.settings.views_in_prediction)
            best = [*found.items()][:_TOP]
            heat_map = None
            if self._heat_maps is not None:
                pixels = np.ascontiguousarray(prepared(self._pipeline, picture).permute(1, 2, 0).numpy())
                (heat,) = self._heat_maps([pixels], [self.model.class_names.index(best[0][0])])
                heat_map = data_uri(with_heat(seen_by_network(picture, pixels), heat))
        return {
            "answer": best[0][0] if best[0][1] >= self.min_confidence else UNKNOWN,
            "classes": [{"class": title, "probability": round(value, 6)} for title, value in best],
            "picture": data_uri(picture),
            "heat_map": heat_map,
        }

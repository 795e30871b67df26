"""Answers photographs for a page: classes, where the network looked, and whether it is sure enough."""

from threading import Lock
from typing import Any

import numpy as np
import torch
from PIL import Image as Pillow
from torch import Tensor

from callbacks.evaluation.heat_maps import HeatMaps
from datamodules.loading.prepared_picture import prepared
from datamodules.reading.image_reader import decode_image
from lightning_modules import ImageClassifier
from lightning_modules.prediction.certainty import AnswerRule, certainty
from lightning_modules.prediction.preprocessing import pipeline_of
from results.predictions import UNKNOWN
from results.report.pictures import data_uri, heat_uri, seen_by_network

_TOP = 5


class AppClassifier:
    """Classifies one photograph at a time, whichever thread asks.

    Args:
        model: The classifier.
        rule: When to answer ``unknown``.

    Attributes:
        threshold: The certainty below which the answer is ``unknown``.

    Raises:
        MisconfigurationException: If the rule makes no sense, or the checkpoint doesn't know its coverage.
    """

    def __init__(self, model: ImageClassifier, rule: AnswerRule) -> None:
        rule.check()
        self.rule = rule
        self.threshold = rule.threshold(model.fitted)
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
            Plain values: ``answer``, which may be ``unknown``; ``score``, how sure it is; ``classes``, the five most
            probable ones with ``class`` and ``probability``; ``picture`` and ``heat_map``, ``data:`` URIs, the latter
            null without a map.

        Raises:
            UnreadableImageError: If it isn't a picture, or is too large.
        """
        picture = decode_image(data, name)
        with self._lock:  # maps hook into the network, and two photographs at once would take no less time
            # of Pillow, since an array's channels are in doubt where a side has one, three or four pixels
            found = self.model.classify(Pillow.fromarray(picture), tta=self.model.settings.views_in_prediction)
            best = [*found.items()][:_TOP]
            image = prepared(self._pipeline, picture)
            by_views = self.rule.coverage is not None and self.model.settings.views_in_prediction
            shown = self.rule.score == "probability" and not by_views
            sure = best[0][1] if shown else self._certainty(image)
            heat_map = None
            if self._heat_maps is not None:
                pixels = np.ascontiguousarray(image.permute(1, 2, 0).numpy())
                (heat,) = self._heat_maps([pixels], [self.model.class_names.index(best[0][0])])
                heat_map = heat_uri(seen_by_network(picture, pixels), heat)
        return {
            "answer": best[0][0] if sure >= self.threshold else UNKNOWN,
            "score": round(sure, 6),
            "classes": [{"class": title, "probability": round(value, 6)} for title, value in best],
            "picture": data_uri(picture),
            "heat_map": heat_map,
        }

    @torch.inference_mode()
    def _certainty(self, image: Tensor) -> float:
        with self.model.settings.autocast(self.model.device), self.model.logits.eagerly():
            scores = self.model.scores(image[None].to(self.model.device))
        return float(certainty(self.rule.score, scores.plain, scores.logits, self.model.fitted.norm_order))

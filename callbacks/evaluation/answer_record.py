"""Records the answer to each picture of an evaluation, on any number of devices."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lightning_modules.prediction.certainty import LOGIT_SCORES, certainty
from lightning_modules.scoring.confusion_counts import NO_LABEL
from lightning_modules.scoring.most_probable import most_probable
from results.evaluation.answers import Answers

_TOP = 5


class AnswerRecord:
    """Collects the most probable classes batch by batch, some 100 bytes a picture; nothing waits for a GPU.

    Args:
        rank: This device.
        devices: Number of devices; sample k of a device is number ``rank + k * devices`` of the data set.
        with_views: Whether there are further views.
        norm_order: The order of the norm in ``normalized_logit``.
    """

    def __init__(self, rank: int, devices: int, with_views: bool, norm_order: int) -> None:
        self.rank = rank
        self.devices = devices
        self.with_views = with_views
        self.norm_order = norm_order
        self._batches: list[dict[str, Tensor]] = []
        self._seen = 0

    def add(self, scores: Mapping[str, Tensor], labels: Tensor) -> None:
        """Add a batch.

        Args:
            scores: ``logits``, ``plain`` and ``averaged``, floats of shape (batch, classes).
            labels: True classes, int64 of shape (batch,); samples with -1 don't count.
        """
        positions = self.rank + self.devices * torch.arange(self._seen, self._seen + len(labels))
        self._seen += len(labels)
        batch = {"positions": positions, "labels": labels}
        batch["uncalibrated"] = scores["logits"].softmax(dim=1).amax(dim=1)
        for kind in LOGIT_SCORES:
            batch[kind] = certainty(kind, scores["plain"], scores["logits"], self.norm_order)
        for name in ("plain", "averaged") if self.with_views else ("plain",):
            batch[f"{name}.probabilities"], batch[f"{name}.classes"] = most_probable(scores[name], _TOP)
            batch[f"{name}.of_truth"] = scores[name].gather(1, labels.clamp(min=0)[:, None])[:, 0]
        self._batches.append(batch)

    def finish(self) -> dict[str, Any]:
        """Gather the answers of all devices, which all have to call this, and forget them.

        Returns:
            Arrays with a row for each sample that has a label, in the order of the data set: ``positions``, ``labels``,
            ``uncalibrated`` (probability of the first answer without a temperature), ``max_logit``,
            ``normalized_logit``, ``plain`` and, of several views, ``averaged``.
        """
        batches, self._batches, self._seen = self._batches, [], 0
        own = {name: torch.cat([batch[name] for batch in batches]).cpu().numpy() for name in (batches or [{}])[0]}
        parts: list[Any] = [own]
        if self.devices > 1:
            parts = [None] * self.devices
            torch.distributed.all_gather_object(parts, own)
        parts = [part for part in parts if part]
        if not parts:
            return {}
        arrays = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        (labelled,) = np.nonzero(arrays["labels"] != NO_LABEL)
        rows = labelled[np.argsort(arrays["positions"][labelled], kind="stable")]
        arrays = {name: values[rows] for name, values in arrays.items()}
        found: dict[str, Any] = {name: arrays[name] for name in ("positions", "labels", "uncalibrated", *LOGIT_SCORES)}
        for name in ("plain", "averaged") if self.with_views else ("plain",):
            found[name] = Answers(*(arrays[f"{name}.{part}"] for part in ("classes", "probabilities", "of_truth")))
        return found

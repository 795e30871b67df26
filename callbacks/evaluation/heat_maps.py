"""Computes heat maps of where a classifier looked."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from lightning_modules import ImageClassifier
from lightning_modules.networks.activation_map import ActivationMap
from results.report.pictures import Pixels


class HeatMaps:
    """Computes where the classifier looked in pictures.

    Args:
        module: The classifier.
    """

    def __init__(self, module: ImageClassifier) -> None:
        self.module = module
        self.map = ActivationMap(module.network)

    def find_layer(self, side: int) -> None:
        """Find the layer that maps are taken from, or fail.

        Args:
            side: Side of an image in pixels.
        """
        noise = np.random.default_rng(0).integers(0, 256, size=(side, side, 3), dtype=np.uint8)
        self([noise], [0])

    def __call__(self, pixels: Sequence[Pixels], classes: Sequence[int]) -> list[npt.NDArray[np.float32]]:
        """Compute heat maps.

        Args:
            pixels: What the network is given, uint8 of shape (side, side, 3), all of one size.
            classes: What each picture is looked at for.

        Returns:
            Values from 0 to 1, float32 of shape (rows, columns), of each.
        """
        images = torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).to(self.module.device)
        with torch.inference_mode(False), self.module.logits.eagerly():
            maps, _ = self.map(self.module.normalize(images), torch.tensor(classes))
        return list(maps.cpu().numpy())

"""A random crop that sees pictures as evaluation does."""

from typing import Any

import albumentations as A


class RandomRelativeCrop(A.RandomResizedCrop):  # type: ignore[misc] # Albumentations ships no types
    """``RandomResizedCrop`` whose ``ratio`` is relative to the picture's own, as if it had been squeezed square before.

    Evaluation squeezes whole pictures into squares. Crops of a fixed ratio never show a long car that way: trained on
    them, an EfficientNet-Lite0 got 0.57 of the test cars right, and 0.71 with this crop (benchmarks/RESULTS.md). Its
    arguments are those of ``albumentations.RandomResizedCrop``.
    """

    ratio: tuple[float, float]

    def get_params_dependent_on_data(
        self, params: dict[str, Any], data: dict[str, Any]
    ) -> dict[str, tuple[int, int, int, int]]:
        """Draw a crop.

        Args:
            params: Parameters of the call, with the ``shape`` of the picture.
            data: Its data.

        Returns:
            The coordinates (left, top, right, bottom) in pixels.
        """
        height, width = params["shape"][:2]
        relative = self.ratio
        self.ratio = (relative[0] * width / height, relative[1] * width / height)
        try:
            crop: dict[str, tuple[int, int, int, int]] = super().get_params_dependent_on_data(params, data)
        finally:
            self.ratio = relative
        return crop

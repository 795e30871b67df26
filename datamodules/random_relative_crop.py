"""A random crop that sees pictures as evaluation does."""

import copy
from typing import Any, Literal

import albumentations as A
import cv2
from lightning.fabric.utilities.exceptions import MisconfigurationException


class RandomRelativeCrop(A.RandomResizedCrop):  # type: ignore[misc] # Albumentations ships no types
    """``RandomResizedCrop`` whose ``ratio`` is relative to the picture's own, as if it had been squeezed square before.

    Evaluation squeezes whole pictures into squares. Crops of a fixed ratio never show a long car that way: trained on
    them, an EfficientNet-Lite0 got fewer cars right (benchmarks/RESULTS.md).

    Args:
        size: Height and width of the result in pixels; None takes the ``image_size`` of the data module.
        scale: Least and largest share of the picture's area.
        ratio: Least and largest ratio of width to height, as multiples of the picture's own.
        interpolation: OpenCV's flag for enlarging.
        mask_interpolation: The same for masks.
        area_for_downscale: What is shrunk by averaging over the area: images, images and masks, or nothing.
        p: Probability of the crop.
    """

    ratio: tuple[float, float]

    def __init__(
        self,
        size: tuple[int, int] | None = None,
        scale: tuple[float, float] = (0.08, 1.0),
        ratio: tuple[float, float] = (0.75, 4 / 3),
        interpolation: int = cv2.INTER_LINEAR,
        mask_interpolation: int = cv2.INTER_NEAREST,
        area_for_downscale: Literal["image", "image_mask"] | None = None,
        p: float = 1.0,
    ) -> None:
        super().__init__(size or (1, 1), scale, ratio, interpolation, mask_interpolation, area_for_downscale, p)
        self.size = size

    def get_params_dependent_on_data(
        self, params: dict[str, Any], data: dict[str, Any]
    ) -> dict[str, tuple[int, int, int, int]]:
        """Draw a crop.

        Args:
            params: Parameters of the call, with the ``shape`` of the picture.
            data: Its data.

        Returns:
            The coordinates (left, top, right, bottom) in pixels.

        Raises:
            MisconfigurationException: If there is no size.
        """
        if self.size is None:
            raise MisconfigurationException("RandomRelativeCrop needs a size where no data module gives it one.")
        height, width = params["shape"][:2]
        relative = self.ratio
        self.ratio = (relative[0] * width / height, relative[1] * width / height)
        try:
            crop: dict[str, tuple[int, int, int, int]] = super().get_params_dependent_on_data(params, data)
        finally:
            self.ratio = relative
        return crop


def sized(step: A.BasicTransform | A.BaseCompose, image_size: int) -> A.BasicTransform | A.BaseCompose:
    """Give crops without a size that of the training images.

    Args:
        step: A step, which may have others in it; it isn't changed.
        image_size: Side of the training images in pixels.

    Returns:
        A copy of the step.
    """
    made = copy.deepcopy(step)
    steps = [made]
    for inner in steps:
        steps.extend(inner.transforms if isinstance(inner, A.BaseCompose) else ())
        if isinstance(inner, RandomRelativeCrop) and inner.size is None:
            inner.size = (image_size, image_size)
    return made

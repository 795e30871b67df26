"""The views of test-time augmentation."""

from collections.abc import Iterator, Sequence

from torch import Tensor
from torchvision.transforms.v2.functional import horizontal_flip, resized_crop

FLIP, SCALES, SHIFT = True, (1.0, 0.875), 0.0


def further_views(
    images: Tensor, flip: bool = FLIP, scales: Sequence[float] = SCALES, shift: float = SHIFT
) -> Iterator[Tensor]:
    """Make the views of images, all but the plain one; row i of every view is image i.

    Args:
        images: Pixels, uint8 of shape (batch, channels, height, width).
        flip: See every crop mirrored as well.
        scales: Sides of the crops, as shares of the image's side; 1 is the whole image.
        shift: How far crops move from the centre towards each corner, as a share of the way there.

    Yields:
        Batches of the same shape.
    """
    if flip:
        yield horizontal_flip(images)
    height, width = images.shape[-2:]
    directions = [(0.0, 0.0)]
    if shift:
        directions += [(-shift, -shift), (-shift, shift), (shift, -shift), (shift, shift)]
    for scale in scales:
        if scale == 1:
            continue
        crop_height, crop_width = round(scale * height), round(scale * width)
        for down, right in directions:
            top = round((height - crop_height) * (1 + down) / 2)
            left = round((width - crop_width) * (1 + right) / 2)
            crop = resized_crop(images, top, left, crop_height, crop_width, [height, width], antialias=True)
            yield crop
            if flip:
                yield horizontal_flip(crop)

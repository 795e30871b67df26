"""Joins samples to batches without rearranging their pixels."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import default_collate, get_worker_info


def collate(samples: Sequence[tuple[Tensor, Any]]) -> list[Any]:
    """Join samples.

    Decoders give the three colours of a pixel side by side, and convolutions are faster that way (channels-last).
    PyTorch's own function would bring them into planes, and the network back. In a loading process the batch is put
    together in memory that the main process shares.

    Args:
        samples: Images, uint8 of shape (3, height, width), and what belongs to each.

    Returns:
        The images, uint8 of shape (batch, 3, height, width) in the channels-last memory format, and the others as
        ``torch.utils.data.default_collate`` joins them.
    """
    pixels = [image.permute(1, 2, 0) for image, _ in samples]
    shape = (len(pixels), *pixels[0].shape)
    if get_worker_info() is None:
        joined = torch.empty(shape, dtype=pixels[0].dtype)
    else:
        size = len(pixels) * pixels[0].numel() * pixels[0].element_size()
        storage = torch.UntypedStorage._new_shared(size)  # type: ignore[no-untyped-call]
        joined = torch.empty(0, dtype=pixels[0].dtype).set_(storage).view(shape)
    torch.stack(pixels, out=joined)
    return [joined.permute(0, 3, 1, 2), default_collate([rest for _, rest in samples])]

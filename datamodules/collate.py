"""Joins samples to batches without rearranging their pixels."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import default_collate, get_worker_info

from datamodules.shared_slots import SharedSlots


def collate(samples: Sequence[tuple[Tensor, Any]], slots: SharedSlots | None = None) -> list[Any]:
    """Join samples.

    Decoders give the three colours of a pixel side by side, and convolutions are faster that way (channels-last).
    PyTorch's own function would bring them into planes, and the network back.

    Args:
        samples: Images, uint8 of shape (3, height, width), and what belongs to each.
        slots: Memory for the batches of loading processes; without it, or in the main process, new memory is taken.

    Returns:
        The images, uint8 of shape (batch, 3, height, width) in the channels-last memory format, and the others as
        ``torch.utils.data.default_collate`` joins them.
    """
    pixels = [image.permute(1, 2, 0) for image, _ in samples]
    rest = default_collate([rest for _, rest in samples])
    shape = (len(pixels), *pixels[0].shape)
    worker = get_worker_info()
    slot = slots.take(worker.id, shape) if slots is not None and worker is not None else None
    if slot is not None:
        torch.stack(pixels, out=slot.pixels)
        return [slot, rest]
    return [torch.stack(pixels).permute(0, 3, 1, 2), rest]

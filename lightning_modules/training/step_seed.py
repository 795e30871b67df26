"""Seeds the random parts of a training step."""

import os

import numpy as np
import torch


def seed_step(step: int, batch: int, rank: int, device: torch.device) -> None:
    """Seed PyTorch from the run's seed and the step: a resumed run draws what the uninterrupted one would have drawn.

    Without a seed of the run nothing happens.

    Args:
        step: Optimizer steps made so far.
        batch: Number of the batch within its epoch.
        rank: Number of the device.
        device: The device.
    """
    seed = os.environ.get("PL_GLOBAL_SEED")
    if seed is not None:
        number = int(np.random.SeedSequence((int(seed), step, batch, rank)).generate_state(1)[0])
        # torch.manual_seed seeds all devices that there may be, and takes a millisecond where there are none
        torch.default_generator.manual_seed(number)
        if device.type != "cpu":
            torch.get_device_module(device).manual_seed(number)

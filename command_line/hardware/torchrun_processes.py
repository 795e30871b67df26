"""Takes the numbers of machines and processes from torchrun, which has started them."""

import os
from typing import Any

import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException


def is_from_torchrun() -> bool:
    """Say whether torchrun started this process."""
    return torch.distributed.is_available() and torch.distributed.is_torchelastic_launched()


def started_processes(config: Any) -> dict[str, int]:
    """Say how many machines and processes torchrun has started.

    An elastic job (``torchrun --nnodes 1:2``) has other numbers after each restart, which no config can name.

    Args:
        config: The config of the trainer.

    Returns:
        ``num_nodes`` and ``devices`` of ``Trainer``, those that the config leaves open: one machine, devices ``auto``.

    Raises:
        MisconfigurationException: If the config names other numbers.
    """
    if not is_from_torchrun():
        return {}
    found: dict[str, int] = {}
    for key, variable, what, unset in (
        ("num_nodes", "GROUP_WORLD_SIZE", "it on {} machine{}", (1,)),
        ("devices", "LOCAL_WORLD_SIZE", "{} process{} on each machine", ("auto", -1, "-1")),
    ):
        if variable not in os.environ:  # of other launchers that call themselves torchrun
            continue
        started, wanted = int(os.environ[variable]), config[key]
        if wanted in unset:
            found[key] = started
        elif str(wanted).isdecimal() and int(wanted) != started:  # Lightning counts lists of devices
            plural = ("es" if key == "devices" else "s") if started != 1 else ""
            raise MisconfigurationException(
                f"trainer.{key} is {wanted}, but torchrun has started {what.format(started, plural)}: set it to "
                f"{unset[0]}, and torchrun's number counts."
            )
    return found

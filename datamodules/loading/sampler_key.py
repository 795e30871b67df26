"""What samplers ask data sets for."""

from typing import NamedTuple

PADDING = -1  # index of a sample that is none, for devices that have one less than others


class SamplerKey(NamedTuple):
    """Identifies a sample in an epoch, for the first time or repeated.

    Attributes:
        epoch: The epoch, counted from 0.
        sample: The sample's index.
        repetition: How often it came before in this epoch.
        soon: Blocks that samples to come are the first to lie in.
    """

    epoch: int
    sample: int
    repetition: int = 0
    soon: tuple[int, ...] = ()

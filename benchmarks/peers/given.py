"""What all peers are given, and what they return."""

from typing import Any, TypeAlias

Settings: TypeAlias = dict[str, Any]
Lists: TypeAlias = dict[str, list[tuple[str, int]]]
Epochs: TypeAlias = list[tuple[float, float]]
Result: TypeAlias = tuple[float, Epochs, float]

NETWORK = "tf_efficientnet_lite0"

# What is known of the photographs, for ``squeeze``: crops that keep half of the picture, 1.9 times as wide as high, as
# these pictures are in the median, a quarter more or less
SQUEEZED = {"scale": (0.5, 1.0), "ratio": (1.9 * 3 / 4, 1.9 * 4 / 3)}

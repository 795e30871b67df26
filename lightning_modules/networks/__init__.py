"""Networks: built by name, filled with weights, divided into groups of layers."""

from lightning_modules.networks.backbones import NETWORK_OPTIONS, build_backbone
from lightning_modules.networks.layer_groups import layer_groups
from lightning_modules.networks.pixel_normalization import PixelNormalization
from lightning_modules.networks.weights import load_weights

__all__ = ["NETWORK_OPTIONS", "PixelNormalization", "build_backbone", "layer_groups", "load_weights"]

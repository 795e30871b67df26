"""Networks: built by name, filled with weights, divided into groups of layers."""

from lightning_modules.networks.backbones import build_backbone
from lightning_modules.networks.image_size import check_image_sizes
from lightning_modules.networks.layer_groups import layer_groups
from lightning_modules.networks.pixel_normalization import PixelNormalization
from lightning_modules.networks.weights import load_weights

__all__ = ["PixelNormalization", "build_backbone", "check_image_sizes", "layer_groups", "load_weights"]

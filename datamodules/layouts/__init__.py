"""The ways data sets lie on disk, each recognised by itself."""

from datamodules.layouts.car_names import CAR_NAMES, in_official_order
from datamodules.layouts.layout import SPLIT_FILE, Layout, Part
from datamodules.layouts.recognise import recognise_layout
from datamodules.layouts.tables import require_labels, write_split

__all__ = [
    "CAR_NAMES",
    "SPLIT_FILE",
    "Layout",
    "Part",
    "in_official_order",
    "recognise_layout",
    "require_labels",
    "write_split",
]

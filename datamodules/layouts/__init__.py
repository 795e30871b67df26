"""The layouts of data sets on disk, each recognised automatically."""

from datamodules.layouts.car_names import CAR_NAMES, in_official_order
from datamodules.layouts.layout import SPLIT_FILE, ClassLevel, Layout, Part
from datamodules.layouts.recognise import recognise_layout
from datamodules.layouts.split_file import write_split
from datamodules.layouts.table_rows import require_labels

__all__ = [
    "CAR_NAMES",
    "SPLIT_FILE",
    "ClassLevel",
    "Layout",
    "Part",
    "in_official_order",
    "recognise_layout",
    "require_labels",
    "write_split",
]

"""What the columns of a table mean, whatever people call them."""

from typing import Literal, TypeAlias

Role: TypeAlias = Literal["path", "label", "split", "group"]

# the first that a table has counts, of paths one that holds the pictures themselves
NAMES: dict[Role, tuple[str, ...]] = {
    "path": (
        *("path", "file", "filename", "file_name", "filepath", "file_path", "image", "image_path", "imagepath"),
        *("image_file", "image_name", "img", "img_path", "photo", "picture"),
    ),
    "label": ("label", "class", "target", "class_name", "classname", "label_name", "category", "labels"),
    "split": ("split", "set", "part", "subset"),
    "group": ("group", "group_id"),
}
BOX = ("x1", "y1", "x2", "y2")
_ROLE_OF: dict[str, Role | Literal["box"]] = {
    **{name: role for role, names in NAMES.items() for name in names},
    **dict.fromkeys(BOX, "box"),
}


def role_of(name: str) -> str | None:
    """Find what a column means.

    Args:
        name: Its name in the header.

    Returns:
        One of the roles, or ``box``; None if it means nothing here.
    """
    return _ROLE_OF.get(key_of(name))


def key_of(name: str) -> str:
    """Bring spellings of a name together.

    Args:
        name: The name of a column.

    Returns:
        It in small letters, with underscores for blanks and hyphens.
    """
    return name.strip().casefold().replace(" ", "_").replace("-", "_")

"""Names of files and folders that are ignored."""

# What archives and network drives put into every folder: thumbnails, deleted files, descriptions.
_SYSTEM = frozenset(
    {
        *("__macosx", "@eadir", "@recycle", "#recycle", "$recycle.bin", "@recently-snapshot", "#snapshot", "@tmp"),
        *("system volume information", "lost+found", "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"),
    }
)

HIDDEN = "hidden"
SYSTEM = "of the system (thumbnails, deleted files)"


def reason_by_name(name: str) -> str:
    """Check whether a file or a folder is ignored because of its name.

    Args:
        name: Its name.

    Returns:
        The reason; empty if there is none.
    """
    if name[0] == ".":
        return HIDDEN
    return SYSTEM if name.lower() in _SYSTEM else ""

"""What nobody should unpickle."""

from pathlib import Path
from typing import Any


class Malicious:
    """Touches a file when it is unpickled, in the place of worse."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)

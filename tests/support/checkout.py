"""Where this project lies."""

from pathlib import Path

CHECKOUT = Path(__file__).parent.parent.parent

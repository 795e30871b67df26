"""Fine-tunes a network as timm, fastai or Hugging Face's Trainer does, for benchmarks/training.py.

python -m benchmarks.peers.training SIDE SETTINGS.json

Runs in the peers' environment and imports nothing of this project but the recipes beside it, which say what
each peer does. Writes to the file ``result`` of the settings: when training ended, time and validation accuracy of each
epoch, and the test accuracy. ``SIDE`` may be ``missing``: prints which packages each side lacks.
"""

import json
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple


class Peer(NamedTuple):
    """A side of the comparison.

    Attributes:
        packages: What it needs.
        recipe: The module beside this one that trains as it does.
        settings: What the recipe is given beside what all are given.
    """

    packages: list[str]
    recipe: str
    settings: dict[str, Any]


PEERS = {
    "timm": Peer(["timm"], "timm_recipe", {}),
    "fastai": Peer(["fastai", "timm"], "fastai_recipe", {}),
    "fastai, one rate": Peer(["fastai", "timm"], "fastai_recipe", {"lr_mult": 1}),
    "Hugging Face": Peer(["transformers", "accelerate", "timm"], "hugging_face_recipe", {}),
}


def main() -> None:
    """Train one side, or print which packages each lacks."""
    side, *files = sys.argv[1:]
    if side == "missing":
        missing = {
            name: [package for package in peer.packages if not find_spec(package)] for name, peer in PEERS.items()
        }
        print(json.dumps(missing))
        return
    settings = json.loads(Path(files[0]).read_text())
    listed = json.loads(Path(settings["lists"]).read_text())
    lists = {split: [(path, label) for path, label in pairs] for split, pairs in listed.items()}
    recipe = import_module(f"benchmarks.peers.{PEERS[side].recipe}")
    ended, epochs, accuracy = recipe.train(settings | PEERS[side].settings, lists)
    result = {"ended": ended, "epochs": epochs, "accuracy": accuracy}
    Path(settings["result"]).write_text(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()

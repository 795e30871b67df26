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

PACKAGES = {"timm": ["timm"], "fastai": ["fastai", "timm"], "Hugging Face": ["transformers", "accelerate", "timm"]}
RECIPES = {"timm": "timm_recipe", "fastai": "fastai_recipe", "Hugging Face": "hugging_face_recipe"}


def main() -> None:
    """Train one side, or print which packages each lacks."""
    side, *files = sys.argv[1:]
    if side == "missing":
        print(
            json.dumps({name: [package for package in PACKAGES[name] if not find_spec(package)] for name in PACKAGES})
        )
        return
    settings = json.loads(Path(files[0]).read_text())
    listed = json.loads(Path(settings["lists"]).read_text())
    lists = {split: [(path, label) for path, label in pairs] for split, pairs in listed.items()}
    recipe = import_module(f"benchmarks.peers.{RECIPES[side]}")
    ended, epochs, accuracy = recipe.train(settings, lists)
    result = {"ended": ended, "epochs": epochs, "accuracy": accuracy}
    Path(settings["result"]).write_text(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()

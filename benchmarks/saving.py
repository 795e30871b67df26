"""Measures how long a checkpoint keeps a training waiting.

python -m benchmarks.saving [--network resnet50] [--folder FOLDER]

The checkpoint has the network's weights and AdamW's two moments. "Lightning" writes it as Lightning does, into memory,
into a temporary file and from there to its place, and then to the disk (fsync); "straight" is what this project's
thread does, into its draft, to the disk, and renamed. "pause" is what the training waits for: the copy that the thread
writes.
"""

import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO

from benchmarks.measuring.turns import Side, arguments, report, take_turns
from callbacks.saving.background_writer import BackgroundWriter, write
from lightning_modules import ImageClassifier
from runs.whole_file import publish


def trained(backbone: str) -> dict[str, Any]:
    """Build the content of a checkpoint.

    Args:
        backbone: The network.

    Returns:
        Its weights and the optimizer's state, as after a step.
    """
    model = ImageClassifier(backbone, None, [str(number) for number in range(196)], 224)
    optimizer = torch.optim.AdamW(model.parameters())
    for parameter in model.parameters():
        parameter.grad = torch.rand_like(parameter)
    optimizer.step()
    return {"state_dict": model.state_dict(), "optimizer_states": [optimizer.state_dict()]}


def main() -> None:
    """Run the command line."""
    parser = arguments(__doc__)
    parser.add_argument("--network", default="resnet50")
    parser.add_argument(
        "--folder", type=Path, help="on the disk to write to; the system's for temporary files if left out"
    )
    options = parser.parse_args()
    content = trained(options.network)
    writer = BackgroundWriter()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        path, draft = Path(name, "last.ckpt"), Path(name, "draft.ckpt")

        def lightning() -> float:
            began = time.perf_counter()
            TorchCheckpointIO().save_checkpoint(content, draft)
            publish(draft, path)
            return time.perf_counter() - began

        def straight() -> float:
            began = time.perf_counter()
            write(content, path)
            return time.perf_counter() - began

        def pause() -> float:
            began = time.perf_counter()
            writer.save_checkpoint(content, path)
            seconds = time.perf_counter() - began
            writer.wait()
            return seconds

        sides = [Side("Lightning", lightning), Side("straight", straight), Side("pause", pause)]
        for side in sides:
            side.measure()
        values = take_turns(sides, options.rounds)
        size = path.stat().st_size / 2**20
        writer.teardown()
    report(f"A checkpoint of {options.network}, {size:.0f} MiB", "s", values, "Lightning", options.json)


if __name__ == "__main__":
    main()

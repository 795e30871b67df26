"""Exports a network of each family as ONNX, and compares its answers with PyTorch's.

python -m benchmarks.exported_families [NAME...]

Weights are random. Each network gets a batch of one large and a batch of three small images; the table has the largest
difference of a probability, the size of the file, and the time.
"""

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from lightning_modules import ImageClassifier
from lightning_modules.export.exported_classifier import ExportedClassifier
from lightning_modules.export.formats import probabilities_of, to_onnx

FAMILIES = (
    *("alexnet", "convnext_tiny", "densenet121", "efficientnet_b0", "efficientnet_v2_s", "googlenet", "inception_v3"),
    *("maxvit_t", "mnasnet0_5", "mobilenet_v2", "mobilenet_v3_small", "regnet_y_400mf", "resnet18", "resnext50_32x4d"),
    *("shufflenet_v2_x0_5", "squeezenet1_1", "swin_t", "swin_v2_t", "vgg11_bn", "vit_b_32", "wide_resnet50_2"),
    *("timm/tf_efficientnet_lite0", "timm/vit_tiny_patch16_224", "timm/deit_tiny_distilled_patch16_224"),
    *("timm/convnextv2_atto", "timm/mobilenetv4_conv_small", "timm/eva02_tiny_patch14_224", "timm/hiera_tiny_224"),
)
_SHAPES = ((1, 301, 400, 3), (3, 90, 70, 3))


def compare(name: str) -> str:
    """Export a network, and compare its answers.

    Args:
        name: ``model.backbone``.

    Returns:
        A line of the table.
    """
    begun = time.perf_counter()
    torch.manual_seed(0)
    model = ImageClassifier(name, None, [f"class {number}" for number in range(6)], image_size=224).eval()
    exported = ExportedClassifier(model).eval()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "network.onnx"
        file.write_bytes(to_onnx(exported, {}))
        largest = 0.0
        for shape in _SHAPES:
            images = torch.randint(0, 256, shape, dtype=torch.uint8)
            with torch.inference_mode():
                expected = exported(images)
            largest = max(largest, float((probabilities_of(file, images) - expected).abs().max()))
        size = file.stat().st_size / 1e6
    return f"| {name} | {largest:.1e} | {size:.1f} | {time.perf_counter() - begun:.0f} |"


def main(args: Sequence[str] | None = None) -> None:
    """Print the table.

    Args:
        args: Arguments; None takes those of the process.
    """
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", default=FAMILIES, help="networks, as model.backbone names them")
    names = parser.parse_args(args).names
    print("| network | largest difference of a probability | MB | seconds |\n|---|---|---|---|")
    for name in names:
        try:
            print(compare(name), flush=True)
        except Exception as error:
            print(f"| {name} | {type(error).__name__}: {' '.join(str(error).split())[:150]} | | |", flush=True)


if __name__ == "__main__":
    main()

"""A cosine classifier (``model.cosine_scale``) is the formula, trains, is exported, and gives its weights to others."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from torch.nn.functional import cosine_similarity

from lightning_modules import ImageClassifier
from lightning_modules.export.exported_classifier import ExportedClassifier
from lightning_modules.export.formats import to_onnx
from lightning_modules.export.int8 import to_int8
from lightning_modules.networks.heads import CosineHead
from train import main

Run = Callable[..., None]


def test_logits_are_scaled_cosines() -> None:
    torch.manual_seed(0)
    head = CosineHead(7, 3, scale=16.0)
    features = torch.randn(5, 7)
    expected = 16 * cosine_similarity(features[:, None], head.weight[None], dim=-1)
    torch.testing.assert_close(head(features), expected)
    torch.testing.assert_close(head.folded()(features), expected)
    assert head.bias is None


@pytest.mark.slow
@pytest.mark.parametrize("scale", [None, 16.0])
def test_eight_bits_leave_the_head_in_floats(scale: float | None) -> None:
    onnx, _ = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    torch.manual_seed(0)
    network = ExportedClassifier(ImageClassifier("resnet18", None, ["a", "b"], 32, cosine_scale=scale).eval())
    pictures = [np.random.default_rng(seed).integers(0, 256, (32, 32, 3), dtype=np.uint8) for seed in range(4)]
    graph = onnx.load_model_from_string(to_int8(to_onnx(network, {}), pictures, 32)).graph
    made_by = {output: node.op_type for node in graph.node for output in node.output}
    layers = [node for node in graph.node if node.op_type in ("Conv", "Gemm", "MatMul")]
    small = [node for node in layers if any(made_by.get(name) == "DequantizeLinear" for name in node.input)]
    assert {node.op_type for node in small} == {"Conv"}  # neither the head nor the products that resize
    assert len(small) == 19  # all but the first


@pytest.mark.slow
def test_it_trains_and_is_used_like_any_other(run: Run, tmp_path: Path, toy_root: Path) -> None:
    network = ["--model.backbone=resnet18", "--data.image_size=32", "--model.weights=null"]
    run("fit", *network, "--model.cosine_scale=16", "--trainer.max_epochs=1")
    first = tmp_path / "logs/demo/version_0"
    model = ImageClassifier.load(first)
    assert isinstance(model.network.fc, CosineHead)
    assert model.network.fc.scale == 16
    images = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8)
    assert model(images).abs().max() <= 16
    main(["test", str(first)])
    main(["export", str(first), f"--output={tmp_path / 'cars.onnx'}"])  # which compares it with the run's answers
    assert (tmp_path / "cars.onnx").is_file()
    with pytest.raises(SystemExit) as stop:
        main(["export", str(first), "--format=hub", f"--output={tmp_path / 'hub'}"])
    assert "know no cosine classifier" in str(stop.value.code)
    run(
        "fit",
        *network[:2],
        "--model.cosine_scale=16",
        f"--model.weights={first}",
        "--trainer.max_epochs=1",
        "--trainer.limit_train_batches=1",
        "--model.learning_rate=0",
    )
    again = ImageClassifier.load(tmp_path / "logs/demo/version_1")
    assert isinstance(again.network.fc, CosineHead)
    torch.testing.assert_close(again.network.fc.weight, model.network.fc.weight)


def test_what_cannot_have_one_says_so() -> None:
    names = ["a", "b"]
    with pytest.raises(MisconfigurationException, match="needs a network whose head is linear; this one's is Conv2d"):
        ImageClassifier("squeezenet1_1", None, names, 64, cosine_scale=16.0)
    with pytest.raises(MisconfigurationException, match="model.cosine_scale is 0.0: it has to be above 0"):
        ImageClassifier("resnet18", None, names, 64, cosine_scale=0.0)

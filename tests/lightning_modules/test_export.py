"""An exported file answers as the run does, in a process without PyTorch."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import albumentations as A
import cv2
import numpy as np
import onnx
import pytest
import safetensors.torch
import timm
import torch
import torchvision
import yaml
from lightning.fabric.utilities.exceptions import MisconfigurationException

from lightning_modules import ImageClassifier
from lightning_modules.export.exported_classifier import ExportedClassifier, resized_to
from lightning_modules.export.formats import probabilities_of, to_onnx
from lightning_modules.export.hub_folder import hub_files
from lightning_modules.export.resizing import Resizing
from train import main

Run = Callable[..., None]
FAMILIES = [
    "resnet18", "mobilenet_v3_small", "timm/vit_tiny_patch16_224", "swin_t", "timm/tf_efficientnet_lite0",
]  # fmt: skip  # python -m benchmarks.exported_families has the others


@pytest.mark.parametrize(
    ("height", "width"),
    [(300, 400), (96, 96), (97, 60), (62, 215), (50, 70), (1200, 1600), (192, 96), (100, 96), (96, 40), (1, 1)],
)
def test_pictures_are_resized_to_the_pixels_of_evaluation(height: int, width: int) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    expected = A.Resize(96, 96, area_for_downscale="image")(image=picture)["image"].astype(int)
    resized = Resizing(96)(torch.from_numpy(picture).permute(2, 0, 1)[None].float())[0].permute(1, 2, 0).numpy()
    difference = np.abs(resized - expected)
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.004


def test_where_one_side_shrinks_alone_the_pixels_are_those_of_evaluation_at_any_size() -> None:
    random = np.random.default_rng(0)
    resize, evaluation = Resizing(147), A.Resize(147, 147, area_for_downscale="image")
    for side in range(148, 460):  # a position within a rounding error of a pixel's edge is in some of them
        picture = random.integers(0, 256, (90, side, 3), dtype=np.uint8)
        for turned in (picture, picture.transpose(1, 0, 2)):
            expected = evaluation(image=np.ascontiguousarray(turned))["image"]
            found = resize(torch.from_numpy(turned.copy()).permute(2, 0, 1)[None].float())[0].permute(1, 2, 0)
            np.testing.assert_array_equal(found.numpy(), expected)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("export") / "logs"


@pytest.fixture
def trained(run: Run, kept: Path, tmp_path: Path) -> Path:
    """A copy of a run, which is trained once for all tests."""
    if kept.exists():
        shutil.copytree(kept, tmp_path / "logs")
    else:
        run("fit", "--trainer.max_epochs=1")
        run("test", "--ckpt_path=best", "--report.enabled=true", "--report.pictures=0", "--tta.enabled=false")
        shutil.copytree(tmp_path / "logs", kept)
    return tmp_path / "logs/demo/version_0"


@pytest.mark.slow
def test_another_process_gets_the_same_answers_from_the_file_alone(
    trained: Path, tmp_path: Path, toy_set: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "car.onnx"
    main(["export", str(trained), f"--output={file}"])
    assert "16 pictures of its evaluation have the same answers" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir() if path.suffix in (".onnx", ".data")] == ["car.onnx"]
    photographs = sorted(toy_set.glob("cars_test/*.jpg"))[:4]
    program = (
        "import json, sys\n"
        "for name in ('torch', 'cv2', 'albumentations'): sys.modules[name] = None\n"
        "import numpy, onnxruntime\n"
        "from PIL import Image\n"
        "session = onnxruntime.InferenceSession(sys.argv[1])\n"
        "names = json.loads(session.get_modelmeta().custom_metadata_map['class_names'])\n"
        "pictures = numpy.stack([numpy.asarray(Image.open(file)) for file in sys.argv[2:]])\n"
        "print(json.dumps([names, session.run(None, {'images': pictures})[0].tolist()]))\n"
    )
    done = subprocess.run([sys.executable, "-c", program, file, *photographs], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    names, rows = json.loads(done.stdout)
    model = ImageClassifier.load(trained)
    assert names == model.class_names
    for row, answer in zip(rows, model.classify([*photographs]), strict=True):
        assert row == pytest.approx([answer[name] for name in names], abs=1e-3)
        assert sum(row) == pytest.approx(1, abs=1e-5)
    metadata = {entry.key: entry.value for entry in onnx.load(file).metadata_props}
    assert metadata["backbone"] == "squeezenet1_1"
    assert float(metadata["temperature"]) == pytest.approx(model.temperature, rel=1e-3)
    scores = json.loads((trained / "test/test_scores.json").read_text())
    assert json.loads(metadata["scores"])["test/accuracy"] == scores["test/accuracy"]


@pytest.mark.slow
def test_torch_reads_its_own_format(trained: Path, tmp_path: Path) -> None:
    main(["export", str(trained), f"--output={tmp_path / 'car.pt2'}", "--format=torch"])
    extra = {"metadata.json": ""}
    classifier = torch.export.load(tmp_path / "car.pt2", extra_files=extra).module()
    for shape in ((1, 40, 50, 3), (5, 300, 200, 3)):
        images = torch.randint(0, 256, shape, dtype=torch.uint8)
        answers = ImageClassifier.load(trained).classify([image.permute(2, 0, 1) for image in images])
        names = json.loads(json.loads(extra["metadata.json"])["class_names"])
        expected = torch.tensor([[answer[name] for name in names] for answer in answers])
        assert torch.allclose(classifier(images), expected, atol=2e-3)


@pytest.mark.slow
@pytest.mark.parametrize("backbone", FAMILIES)
def test_families_are_written_for_any_batch_and_size(backbone: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = ImageClassifier(backbone, None, [str(number) for number in range(6)], image_size=224).eval()
    model.temperature = 0.6
    exported, file = ExportedClassifier(model).eval(), tmp_path / "network.onnx"
    file.write_bytes(to_onnx(exported, {}))
    for shape in ((1, 301, 400, 3), (3, 90, 70, 3)):
        images = torch.randint(0, 256, shape, dtype=torch.uint8)
        with torch.inference_mode():
            expected = exported(images)
        assert (probabilities_of(file, images) - expected).abs().max() < 1e-4


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as stop:
        main([*arguments])
    return stop.value.code if isinstance(stop.value.code, str) else capsys.readouterr().err


def test_mistakes_are_one_sentence(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "car.onnx").write_text("mine")
    assert "which exists already" in said(capsys, "export", str(trained), "--output=car.onnx")
    assert (tmp_path / "car.onnx").read_text() == "mine"
    assert "the suffix of --format onnx is .onnx" in said(capsys, "export", str(trained), "--output=car.pt")
    assert "There is no run nowhere" in said(capsys, "export", "nowhere")
    assert "needs a run" in said(capsys, "export")
    assert "takes one run" in said(capsys, "export", str(trained), str(trained))


@pytest.mark.slow
def test_a_file_that_answers_otherwise_is_not_kept(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from command_line.tools import export as module

    def wrong(file: Path, images: torch.Tensor) -> torch.Tensor:
        return probabilities_of(file, images).flip(1)

    monkeypatch.setattr(module, "probabilities_of", wrong)
    assert "answers otherwise" in said(capsys, "export", str(trained), f"--output={tmp_path / 'car.onnx'}")
    assert not [*tmp_path.glob("*.onnx"), *tmp_path.glob(".*onnx")]


def test_other_preprocessing_is_refused(trained: Path) -> None:
    model = ImageClassifier.load(trained)
    steps: Any = A.Compose([A.CenterCrop(50, 50), A.Resize(64, 64)]).to_dict()
    model.hparams["preprocessing"] = steps
    with pytest.raises(Exception, match="CenterCrop, Resize"):
        ExportedClassifier(model)


def test_another_interpolation_than_exports_have_is_refused() -> None:
    for interpolation, usual in ((cv2.INTER_LINEAR, True), (cv2.INTER_CUBIC, False)):
        step = A.Resize(64, 64, interpolation=interpolation, area_for_downscale="image")
        pipeline = A.to_dict(A.Compose([step]))
        with nullcontext() if usual else pytest.raises(MisconfigurationException, match="linear interpolation"):
            assert resized_to(pipeline, 32) == 64


@pytest.mark.parametrize(
    "backbone",
    [
        *("timm/resnet10t", "timm/vit_tiny_patch16_224", "timm/levit_128s", "squeezenet1_1", "resnet18"),
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("googlenet", "vit_b_16")),
    ],
)
def test_a_folder_for_hubs_is_read_by_timm_and_torchvision(backbone: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    names = ["a/b", "车", "c"]
    model = ImageClassifier(backbone, None, names, image_size=64).eval()
    model.temperature = 0.6
    files = hub_files(model, 64, 0.6, {"test/accuracy": 0.5})
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["label_names"] == names
    if backbone.startswith("timm/"):
        network: Any = timm.create_model(f"local-dir:{tmp_path}", pretrained=True).eval()
        assert tuple(network.pretrained_cfg["input_size"]) == (3, 64, 64)
    else:
        code = (tmp_path / "README.md").read_text().split("```python\n")[1].split("```")[0]
        known: dict[str, Any] = {"torchvision": torchvision, "safetensors": safetensors}
        exec(code.replace("FOLDER", str(tmp_path)), known)  # noqa: S102 - as the card says
        network = known["network"]
    images = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    cfg = config["pretrained_cfg"]
    pixels = (images / 255 - torch.tensor(cfg["mean"])[:, None, None]) / torch.tensor(cfg["std"])[:, None, None]
    with torch.inference_mode():
        assert torch.allclose(network(pixels).softmax(dim=1), model.scores(images).plain, atol=1e-5)
    assert "| test/accuracy | 0.5000 |" in (tmp_path / "README.md").read_text()


def test_scores_are_those_of_the_runs_own_data(trained: Path, tmp_path: Path) -> None:
    def tested(folder: str, root: Path, accuracy: float) -> None:
        (trained / folder).mkdir()
        (trained / folder / "config.yaml").write_text(f"data:\n  init_args: {{root: {root}}}\n")
        (trained / folder / "test_scores.json").write_text(json.dumps({"test/accuracy": accuracy}))

    def card(name: str) -> str:
        main(["export", str(trained), f"--output={tmp_path / name}", "--format=hub"])
        return (tmp_path / name / "README.md").read_text()

    (trained / "test/test_scores.json").unlink()
    tested("test-3", tmp_path / "street", 0.125)
    shown = card("a")
    assert "| score on street, other data than it was trained with | |" in shown
    assert "| test/accuracy | 0.1250 |" in shown
    root = yaml.safe_load((trained / "config.yaml").read_text())["data"]["init_args"]["root"]
    tested("test-2", root, 0.75)
    shown = card("b")
    assert "street" not in shown
    assert "| test/accuracy | 0.7500 |" in shown


def test_the_command_writes_a_folder_for_hubs(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["export", str(trained), f"--output={tmp_path / 'hub'}", "--format=hub"])
    assert "16 pictures of its evaluation have the same answers" in capsys.readouterr().out
    assert {path.name for path in (tmp_path / "hub").iterdir()} == {"model.safetensors", "config.json", "README.md"}
    assert not (tmp_path / ".hub").exists()
    assert "exists already" in said(capsys, "export", str(trained), f"--output={tmp_path / 'hub'}", "--format=hub")


@pytest.mark.slow
def test_eight_bits_are_written_where_they_cost_no_answers_and_refused_where_they_do(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run("fit", "--trainer.max_epochs=1", "--model.backbone=resnet18")
    folder = tmp_path / "logs/demo/version_0"
    with pytest.raises(SystemExit) as stop:
        main(["export", str(folder), "--int8=true", f"--output={tmp_path / 'early.onnx'}"])
    assert "--int8 needs pictures of the run" in str(stop.value.code)
    main(["validate", str(folder), "--report.enabled=true", "--report.pictures=1", "--report.heat_maps=false"])
    main(["export", str(folder), "--int8=true", f"--output={tmp_path / 'int8.onnx'}"])
    assert "accuracy on 16 pictures of the run" in capsys.readouterr().out
    floats = 4 * sum(parameter.numel() for parameter in ImageClassifier.load(folder).parameters())
    assert (tmp_path / "int8.onnx").stat().st_size < 0.4 * floats
    monkeypatch.setattr("command_line.tools.int8_check._MOST_LOST", -1.1)
    with pytest.raises(SystemExit) as stop:
        main(["export", str(folder), "--int8=true", f"--output={tmp_path / 'refused.onnx'}"])
    assert "Nothing was written: export it in floats." in str(stop.value.code)
    assert sorted(path.name for path in tmp_path.glob("*.onnx")) == ["int8.onnx"]
    with pytest.raises(SystemExit) as stop:
        main(["export", str(folder), "--int8=true", "--format=torch"])
    assert "--int8 goes with --format onnx alone" in str(stop.value.code)

"""A new training begins from the network of an earlier one, with the same or with other classes."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from torch import Tensor

from datamodules import ToyCarsDataModule
from lightning_modules import ImageClassifier
from tests.support.hub_server import serve
from tests.support.malicious import Malicious
from tests.support.processes import run_devices
from train import main

pytestmark = pytest.mark.slow

ToyData = Callable[..., ToyCarsDataModule]
EPOCH = ("--trainer.max_epochs=1", "--previews.enabled=false", "--model.learning_rate=0.01")
STILL = ("--trainer.max_epochs=1", "--previews.enabled=false", "--model.learning_rate=0", "--model.weight_decay=0")
LOG = "lightning.pytorch.utilities.rank_zero"


def best(run: Path) -> dict[str, Any]:
    content: dict[str, Any] = torch.load(run / "checkpoints/best.ckpt", weights_only=True)
    return content


@pytest.fixture
def others(toy_data: ToyData, tmp_path: Path) -> tuple[Path, list[str]]:
    """Class folders with five of the toy cars, one of them spelt otherwise, and three others."""
    data = toy_data()
    data.prepare_data()
    names = [*data.class_names[:5], "Zeppelin", "Airship", "Balloon"]
    splits: tuple[Literal["train", "val"], ...] = ("train", "val")
    for split in splits:
        samples = data.samples(split)
        assert samples.labels is not None
        for file, label in zip(samples.files, samples.labels, strict=True):
            folder = tmp_path / "photos" / split / names[label]
            folder.mkdir(parents=True, exist_ok=True)
            (folder / Path(file).name).symlink_to(file)
    return tmp_path / "photos", sorted(names)


def own(arguments: list[str], root: Path, *extra: str) -> list[str]:
    toy_only = ("--data.train_images", "--data.test_images", "--data.root")
    kept = [argument for argument in arguments if not argument.startswith(toy_only)]
    return ["fit", *kept, "--data=datamodules.ImageFolderDataModule", f"--data.root={root}", *extra]


@pytest.mark.parametrize("how", ["run", "file", "url"])
def test_other_classes_get_a_new_head_but_for_those_of_the_same_name(
    run: Callable[..., None], arguments: list[str], others: tuple[Path, list[str]], tmp_path: Path,
    caplog: pytest.LogCaptureFixture, how: str, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    root, names = others
    run("fit", *EPOCH, "--model.pixel_mean=[0.4,0.5,0.6]", "--model.pixel_std=[0.2,0.3,0.4]")
    first = tmp_path / "logs/demo/version_0"
    file = first / "checkpoints/best.ckpt"
    before = file.read_bytes()
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "hub"))
    with serve("nobody/nothing", {"best.ckpt": before}) as server, caplog.at_level("INFO", LOG):
        weights = {"run": str(first), "file": str(file), "url": f"{server.url}/best.ckpt?download=true"}[how]
        main(own(arguments, root, *STILL, f"--model.weights={weights}"))
    said = [record.getMessage() for record in caplog.records if "model.weights" in record.getMessage()]
    assert len(said) == 1
    taken = "network taken, 5 of 8 classes keep their rows of the head, 3 begin anew"
    assert re.fullmatch(rf"model\.weights .*best\.ckpt: {taken}\.", said[0])
    old, new = best(first), best(tmp_path / "logs/demo/version_1")
    theirs, mine = old["hyper_parameters"]["class_names"], new["hyper_parameters"]["class_names"]
    assert mine == names
    head = {key for key in old["state_dict"] if key.startswith("network.classifier.1.")}
    assert len(head) == 2
    for key, tensor in old["state_dict"].items():
        if not key.startswith(("network.", "normalize.")) or key in head:
            continue
        assert torch.equal(tensor, new["state_dict"][key]), key
    weight = new["state_dict"]["network.classifier.1.weight"]
    for row, name in enumerate(mine):
        same = [torch.equal(new["state_dict"][key][row], other) for key in head for other in old["state_dict"][key]]
        if name in theirs:
            for key in head:
                assert torch.equal(new["state_dict"][key][row], old["state_dict"][key][theirs.index(name)])
        else:
            assert not any(same)
            assert 0.005 < float(weight[row].std()) < 0.02  # as replace_head draws them
    assert file.read_bytes() == before


def test_the_same_classes_go_on_where_the_first_run_ended(
    run: Callable[..., None], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run("fit", *EPOCH)
    first = tmp_path / "logs/demo/version_0"
    with caplog.at_level("INFO", LOG):
        run("fit", *STILL, f"--model.weights={first}")
    assert "network taken, all 8 classes keep their rows of the head" in caplog.text
    scores = [json.loads((tmp_path / f"logs/demo/version_{n}/fit_scores.json").read_text()) for n in (0, 1)]
    assert scores[1]["val/loss"] == scores[0]["val/loss"]
    assert best(tmp_path / "logs/demo/version_1")["hyper_parameters"]["weights"] is None
    (first / "checkpoints/best.ckpt").unlink()  # a run can be continued when the first has gone
    (first / "checkpoints/last.ckpt").unlink()
    run("fit", f"--ckpt_path={tmp_path / 'logs/demo/version_1'}", f"--model.weights={first}", "--trainer.max_epochs=2")


def test_averaged_weights_are_taken(run: Callable[..., None], tmp_path: Path) -> None:
    run("fit", *EPOCH, "--ema.decay=0.9")
    first = tmp_path / "logs/demo/version_0"
    content = best(first)
    names = content["hyper_parameters"]["class_names"]
    model = ImageClassifier("squeezenet1_1", str(first), names, image_size=64)
    average, current = content["state_dict"], content["current_model_state"]
    key = "network.features.0.weight"
    assert not torch.equal(average[key], current[key])
    assert torch.equal(model.state_dict()[key], average[key])


def trained(backbone: str, path: Path, names: list[str], **options: Any) -> ImageClassifier:
    torch.manual_seed(0)
    model = ImageClassifier(backbone, None, names, **options).eval()
    torch.save({"state_dict": model.state_dict(), "hyper_parameters": {**model.hparams, "weights": None}}, path)
    return model


@pytest.mark.parametrize(
    ("backbone", "size"),
    [
        ("resnet18", 64),
        ("squeezenet1_1", 64),
        ("mobilenet_v3_small", 64),
        ("timm/test_resnet", 64),
        ("timm/test_vit", 32),
    ],
)
def test_logits_of_known_classes_stay(tmp_path: Path, backbone: str, size: int) -> None:
    if backbone.startswith("timm/"):
        pytest.importorskip("timm")
    old = trained(backbone, tmp_path / "a.ckpt", ["Audi R/8", "b", "c"], image_size=size, pixel_mean=[0.1, 0.2, 0.3])
    new = ImageClassifier(backbone, str(tmp_path / "a.ckpt"), ["c", "z", "Audi R-8"], image_size=size).eval()
    images = torch.randint(0, 256, (2, 3, size, size), dtype=torch.uint8)
    with torch.inference_mode():
        theirs, mine = old(images), new(images)
    assert torch.allclose(mine[:, [2, 0]], theirs[:, [0, 2]], rtol=1e-3, atol=0)
    assert not torch.allclose(mine[:, 1], theirs[:, 1], rtol=1e-3, atol=0)
    explicit = ImageClassifier(backbone, str(tmp_path / "a.ckpt"), ["c", "d"], image_size=size, pixel_mean=[0.5] * 3)
    assert explicit.normalize.mean.flatten().tolist() == [0.5] * 3


def test_a_transformer_adapts_to_another_size(tmp_path: Path) -> None:
    trained("vit_b_32", tmp_path / "vit.ckpt", ["a", "b"], image_size=64)
    model = ImageClassifier("vit_b_32", str(tmp_path / "vit.ckpt"), ["a", "c"], image_size=96)
    assert model(torch.zeros(1, 3, 96, 96, dtype=torch.uint8)).shape == (1, 2)
    content = torch.load(tmp_path / "vit.ckpt", weights_only=True)
    model = ImageClassifier("vit_b_32", None, ["a", "b"], image_size=96)
    with pytest.raises(MisconfigurationException, match=r"image_size to 64, or begin .* as model\.weights"):
        model.on_load_checkpoint(content)
    del content["state_dict"]  # as in a sharded one, which is loaded by other means
    model.on_load_checkpoint(content)


def test_training_of_a_transformer_goes_on_at_its_own_size(
    run: Callable[..., None], mistake: Callable[..., str], tmp_path: Path
) -> None:
    pytest.importorskip("timm")
    vit = "--model.backbone=timm/test_vit"
    run("fit", *EPOCH, vit, "--model.weights=null", "--data.image_size=32")
    checkpoint = tmp_path / "logs/demo/version_0/checkpoints/last.ckpt"
    answer = mistake("fit", vit, "--data.image_size=64", f"--ckpt_path={checkpoint}", "--trainer.max_epochs=2")
    assert "timm/test_vit was trained with data.image_size 32, and can't go on with 64: set data.image_size" in answer
    with pytest.raises(SystemExit, match="trained with data.image_size 32") as stop:
        main(["fit", str(checkpoint.parents[1]), "--data.image_size=64", "--trainer.max_epochs=2"])
    assert "\n" not in str(stop.value.code)
    run("fit", vit, "--data.image_size=32", f"--ckpt_path={checkpoint}", "--trainer.max_epochs=2")


def test_a_convolutional_network_goes_on_at_another_size(run: Callable[..., None], tmp_path: Path) -> None:
    run("fit", *EPOCH)
    checkpoint = tmp_path / "logs/demo/version_0/checkpoints/last.ckpt"
    run("fit", f"--ckpt_path={checkpoint}", "--data.image_size=96", "--trainer.max_epochs=2", "--tta.enabled=false")


def test_without_a_class_in_common_the_head_begins_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    trained("squeezenet1_1", tmp_path / "a.ckpt", ["a", "b"])
    with caplog.at_level("INFO", LOG):
        ImageClassifier("squeezenet1_1", str(tmp_path / "a.ckpt"), ["c", "d", "e"])
    assert "network taken, the head begins anew" in caplog.text
    content = torch.load(tmp_path / "a.ckpt", weights_only=True)
    content["state_dict"]["network.classifier.1.weight"] = torch.zeros(2, 7, 1, 1)  # a head with another input
    torch.save(content, tmp_path / "b.ckpt")
    caplog.clear()
    with caplog.at_level("INFO", LOG):
        ImageClassifier("squeezenet1_1", str(tmp_path / "b.ckpt"), ["a", "b"])
    assert "network taken, the head begins anew" in caplog.text


def test_what_cannot_be_begun_from_is_one_sentence(mistake: Callable[..., str], tmp_path: Path) -> None:
    names = ToyCarsDataModule().class_names
    trained("squeezenet1_1", tmp_path / "a.ckpt", names)
    good = (tmp_path / "a.ckpt").read_bytes()
    answer = mistake("fit", f"--model.weights={tmp_path / 'a.ckpt'}", "--model.backbone=resnet18")
    assert "trained with model.backbone squeezenet1_1, but it is set to resnet18" in answer
    (tmp_path / "torn.ckpt").write_bytes(good[:5000])
    flipped = bytearray(good)
    flipped[len(good) // 2] ^= 1
    (tmp_path / "flipped.ckpt").write_bytes(flipped)
    torch.save({"hyper_parameters": Malicious(tmp_path / "hacked")}, tmp_path / "evil.ckpt")
    torch.save({"state_dict": {}}, tmp_path / "other.ckpt")
    torch.save({"hyper_parameters": {"backbone": "squeezenet1_1", "class_names": names}}, tmp_path / "bare.ckpt")
    (tmp_path / "empty").mkdir()
    for name, expected in {
        "torn.ckpt": "damaged or no checkpoint",
        "flipped.ckpt": "damaged or no checkpoint",
        "evil.ckpt": "damaged or no checkpoint",
        "other.ckpt": "no checkpoint of ImageClassifier",
        "bare.ckpt": "holds no weights",
        "empty": "holds no checkpoints/best.ckpt",
        "nothing.ckpt": "no such file or folder",
        "logs/version_7": "no such file or folder",
    }.items():
        answer = mistake("fit", f"--model.weights={tmp_path / name}")
        assert expected in answer
        assert str(tmp_path / name) in answer
    assert not (tmp_path / "hacked").exists()
    assert "the folder of a run, or null" in mistake("fit", "--model.weights=version_7")


def test_values_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    trained("squeezenet1_1", tmp_path / "a.ckpt", ["a", "b"])
    for key in ("network.classifier.1.bias", "network.features.0.weight"):
        content = torch.load(tmp_path / "a.ckpt", weights_only=True)
        tensor: Tensor = content["state_dict"][key]
        tensor[0] = float("nan")
        torch.save(content, tmp_path / "nan.ckpt")
        with pytest.raises(MisconfigurationException, match=r"nan\.ckpt hold values that are not finite"):
            ImageClassifier("squeezenet1_1", str(tmp_path / "nan.ckpt"), ["a", "c"])


def test_a_sharded_run_can_be_begun_from(
    arguments: list[str], run: Callable[..., None], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run_devices(["fit", *arguments, *EPOCH, "--model.backbone=resnet18"], 2, "fsdp")
    first = tmp_path / "logs/demo/version_0"
    assert (first / "checkpoints/best.ckpt").is_dir()
    with caplog.at_level("INFO", LOG):
        run("fit", *STILL, "--model.backbone=resnet18", f"--model.weights={first}")
    assert "all 8 classes keep their rows of the head" in caplog.text
    scores = [json.loads((tmp_path / f"logs/demo/version_{n}/fit_scores.json").read_text()) for n in (0, 1)]
    assert scores[1]["val/classes"] >= 1

"""``ImageClassifier.load``: from a run, a file or a URL to the answers of ``predict``."""

import json
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from PIL import Image

import carspotter
from callbacks import PredictionFile
from lightning_modules import ImageClassifier
from lightning_modules.prediction.prediction_settings import PredictionSettings
from tests.lightning_modules.test_old_checkpoints import OLD_RUN
from tests.support.hub_server import serve
from tests.support.malicious import Malicious
from train import main

QUICK = ["--trainer.max_epochs=1", "--trainer.limit_train_batches=2", "--previews.enabled=false"]


@pytest.fixture
def old_checkpoint(tmp_path: Path) -> Path:
    path = tmp_path / "mine.ckpt"
    path.write_bytes(lzma.decompress((OLD_RUN / "last.ckpt.xz").read_bytes()))
    return path


@pytest.fixture
def predicted(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, torch.Tensor]]:
    """What ``predict`` computes, before it is rounded: for each command, all probabilities by file."""
    commands: list[dict[str, torch.Tensor]] = []
    begin, keep = PredictionFile.on_predict_start, PredictionFile.on_predict_batch_end

    def on_predict_start(self: PredictionFile, *others: Any) -> None:
        commands.append({})
        begin(self, *others)

    def on_predict_batch_end(self: PredictionFile, trainer: Any, module: Any, outputs: Any, *others: Any) -> None:
        commands[-1].update(zip(*outputs[:2], strict=True))
        keep(self, trainer, module, outputs, *others)

    monkeypatch.setattr(PredictionFile, "on_predict_start", on_predict_start)
    monkeypatch.setattr(PredictionFile, "on_predict_batch_end", on_predict_batch_end)
    return commands


@pytest.mark.parametrize(
    "precision", ["32-true", *(pytest.param(name, marks=pytest.mark.slow) for name in ("bf16-mixed", "bf16-true"))]
)
def test_answers_are_those_of_predict_to_the_bit(
    run: Callable[..., None], predicted: list[dict[str, torch.Tensor]], toy_set: Path, tmp_path: Path, precision: str
) -> None:
    folder = tmp_path / "logs/demo/version_0"
    options = ["--model.backbone=mobilenet_v3_small", "--data.batch_size=3", "--tta.scales=[1.0,0.7]", "--tta.shift=1"]
    run("fit", *QUICK, *options, f"--trainer.precision={precision}")
    files = sorted(str(path) for path in toy_set.glob("cars_test/*.jpg"))[:7]
    quiet = ["--trainer.enable_progress_bar=false"]
    for named, tta in ((files, False), (files, True), (files[:1], False)):
        main(["predict", str(folder), *named, *quiet, f"--tta.predict={str(tta).lower()}"])
    model = ImageClassifier.load(folder)
    assert not any(module.training for module in model.modules())
    assert model.settings.precision == precision

    def numbers(answers: list[dict[str, float]]) -> list[list[float]]:
        return [[answer[name] for name in model.class_names] for answer in answers]

    for found, answers in zip(
        predicted,
        (model.classify(files), model.classify(files, tta=True), [model.classify(Path(files[0]))]),
        strict=True,
    ):
        assert numbers(answers) == [probabilities.tolist() for probabilities in found.values()]
    assert numbers(model.classify(files)) != numbers(model.classify(files, tta=True))


def test_a_run_a_file_and_a_url(
    run: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old_checkpoint: Path
) -> None:
    run("fit", *QUICK, "--trainer.max_epochs=2", "--model.learning_rate=0.01", "--checkpoint.monitor=val/loss")
    folder = tmp_path / "logs/demo/version_0"
    numbers = torch.get_rng_state()
    for source, which, file in (
        (folder, "best", "best.ckpt"),
        (str(folder), "last", "last.ckpt"),
        (folder / "checkpoints", "best", "best.ckpt"),
        (folder / "checkpoints/last.ckpt", "best", "last.ckpt"),
    ):
        model = ImageClassifier.load(source, which)  # type: ignore[arg-type]
        content = torch.load(folder / "checkpoints" / file, weights_only=True)
        assert not model.training
        assert model.steps_trained == content["global_step"]
        state = model.state_dict()
        assert state.keys() == content["state_dict"].keys()
        assert all(torch.equal(state[name], tensor) for name, tensor in content["state_dict"].items())
    assert torch.equal(torch.get_rng_state(), numbers)
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "cache"))
    with serve("nobody/nothing", {}) as server:
        server.files["mine.ckpt"] = old_checkpoint.read_bytes()
        model = ImageClassifier.load(f"{server.url}/mine.ckpt")
        with pytest.raises(MisconfigurationException, match="Can't fetch the checkpoint http"):
            ImageClassifier.load(f"{server.url}/gone.ckpt")
    grey = Image.new("L", (60, 40), 99)
    assert model.classify(grey) == ImageClassifier.load(old_checkpoint).classify(grey)


def test_a_new_training_knows_nothing_of_the_old_ones_steps(old_checkpoint: Path) -> None:
    content = torch.load(old_checkpoint, weights_only=True)
    torch.save({**content, "unfrozen_at": {"head": 100}, "training_accuracy": [3.0, 4.0]}, old_checkpoint)
    model = ImageClassifier.load(old_checkpoint)
    assert model.layers.unfrozen_at == {}
    assert model.accuracy.state(torch.device("cpu")) == [0, 0]


def test_what_is_no_checkpoint_is_refused_in_a_sentence(tmp_path: Path, old_checkpoint: Path) -> None:
    done = tmp_path / "done"
    torch.save({"state_dict": Malicious(done)}, tmp_path / "evil.ckpt")
    (tmp_path / "empty").mkdir()
    (tmp_path / "config.yaml").write_text("a: [")
    content = torch.load(old_checkpoint, weights_only=True)
    torch.save({**content, "hyper_parameters": {**content["hyper_parameters"], "backbone": "resnet18"}}, tmp_path / "o")
    torch.save({**content, "config": "a: ["}, tmp_path / "config")
    for name, message in {
        "nothing": "There is no run or checkpoint",
        "evil.ckpt": "is damaged or no checkpoint",
        "config.yaml": "is damaged or no checkpoint",
        "empty": "holds no checkpoints/best.ckpt",
        "o": "don't fit the network",
        "config": "Can't read the config in",
    }.items():
        with pytest.raises(MisconfigurationException, match=message) as caught:
            ImageClassifier.load(tmp_path / name)
        assert "\n" not in str(caught.value)
    assert not done.exists()


def test_settings_are_those_of_the_config_and_else_the_defaults() -> None:
    config = {
        "data": {"init_args": {"batch_size": 5}},
        "tta": {"flip": False, "scales": [0.5], "shift": 0.25},
        "trainer": {"precision": "bf16"},
    }
    boxed = {"data": {"init_args": {"crop_to_box": True, "box_margin": 0.2}}}
    assert PredictionSettings.from_config(boxed).box_margin == 0.2
    assert PredictionSettings.from_config(config) == PredictionSettings("bf16-mixed", 5, False, (0.5,), 0.25)
    for text in ("{}", '{"data": null, "trainer": {"precision": null}}'):
        assert PredictionSettings.from_config(json.loads(text)) == PredictionSettings()


@pytest.mark.parametrize("config", [{"data": {"init_args": {"batch_size": "many"}}}, {"tta": {"scales": 0.5}}])
def test_settings_that_are_no_numbers_are_refused(config: dict[str, Any]) -> None:
    with pytest.raises(MisconfigurationException, match=r"tta\.scales or tta\.shift that is no number"):
        PredictionSettings.from_config(config)


def test_no_scales_are_none() -> None:
    assert PredictionSettings.from_config({"tta": {"scales": []}}).scales == ()


@pytest.mark.slow
def test_another_size_of_evaluation_is_that_of_predict(
    run: Callable[..., None], predicted: list[dict[str, torch.Tensor]], toy_set: Path, tmp_path: Path
) -> None:
    folder, file = tmp_path / "logs/demo/version_0", tmp_path / "car.pt2"
    run("fit", *QUICK, "--model.backbone=resnet18")
    photographs = sorted(str(path) for path in toy_set.glob("cars_test/*.jpg"))[:3]
    main(["predict", str(folder), *photographs, "--trainer.enable_progress_bar=false", "--data.eval_scale=1.5"])
    model = carspotter.load(folder, eval_scale=1.5)
    answers = model.classify(photographs)  # in the batches of predict
    assert [[answer[name] for name in model.class_names] for answer in answers] == [
        probabilities.tolist() for probabilities in predicted[0].values()
    ]
    assert answers != ImageClassifier.load(folder).classify(photographs)
    main(["export", str(folder), "--format=torch", f"--output={file}", "--eval_scale=1.5"])
    pixels = torch.from_numpy(np.asarray(Image.open(photographs[0]))).clone()[None]
    (probabilities,) = torch.export.load(file).module()(pixels)
    assert probabilities.tolist() == pytest.approx([answers[0][name] for name in model.class_names], abs=1e-3)
    main(["explain", str(folder), photographs[0], f"--output={tmp_path / 'why.png'}", "--eval_scale=1.5"])
    with pytest.raises(MisconfigurationException, match="eval_scale is 9: it has to be between 0.25 and 4"):
        ImageClassifier.load(folder, eval_scale=9)

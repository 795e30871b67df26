from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from lightning.pytorch.demos.boring_classes import BoringModel
from torchvision.ops import StochasticDepth

from callbacks import ExponentialMovingAverage, ProgressiveResizing
from datamodules import ToyCarsDataModule
from lightning_modules import ImageClassifier
from lightning_modules.training.optimization import ramp
from tests.support.probes import WeightsOfEachStep

pytestmark = pytest.mark.slow

PROBE = "--trainer.callbacks+=tests.support.probes."


def checkpoint(tmp_path: Path, run: str = "version_0", name: str = "last") -> dict[str, Any]:
    path = tmp_path / f"logs/demo/{run}/checkpoints/{name}.ckpt"
    content: dict[str, Any] = torch.load(path, weights_only=True)
    return content


def test_the_average_of_the_weights_is_what_is_saved_and_validated(
    run: Callable[..., None], scores_of: Callable[..., dict[str, float]], tmp_path: Path
) -> None:
    run("fit", "--ema.decay=0.7", f"{PROBE}WeightsOfEachStep")
    saved = checkpoint(tmp_path)
    for name, tensor in saved["state_dict"].items():
        if name not in WeightsOfEachStep.steps[0]:
            continue
        average = WeightsOfEachStep.steps[0][name]
        for number, step in enumerate(WeightsOfEachStep.steps[1:], start=1):
            decay = min(0.7, (1 + number) / (10 + number))
            average = decay * average + (1 - decay) * step[name]
        torch.testing.assert_close(tensor, average, rtol=1e-4, atol=1e-6)
        assert torch.equal(saved["current_model_state"][name], WeightsOfEachStep.steps[-1][name])
    within_fit = scores_of("fit_scores.json")
    run("validate", "--ckpt_path=best")
    assert scores_of("val_scores.json")["val/loss"] == pytest.approx(within_fit["val/loss"], abs=1e-5)


@pytest.mark.parametrize("decay", ["null", "0.7"])
def test_the_best_weights_alone_are_those_that_were_validated(
    run: Callable[..., None], mistake: Callable[..., str], scores_of: Callable[..., dict[str, float]], tmp_path: Path,
    decay: str,
) -> None:  # fmt: skip
    alone = ["--checkpoint.save_weights_only=true", f"--ema.decay={decay}", "--model.learning_rate=0.01"]
    run("fit", *alone)
    within_fit = scores_of("fit_scores.json")
    saved = checkpoint(tmp_path, name="best")
    assert not saved.keys() & {"optimizer_states", "lr_schedulers", "callbacks", "current_model_state"}
    assert saved["scores"]["val/f1"] == within_fit["best val/f1"]
    run("validate", "--ckpt_path=best")
    assert scores_of("val_scores.json")["val/loss"] == pytest.approx(within_fit["val/loss"], abs=1e-5)
    weights = checkpoint(tmp_path)["state_dict"]
    answer = mistake("fit", *alone, "--trainer.max_epochs=3", "--ckpt_path=best")
    assert "best.ckpt holds weights alone" in answer
    run("fit", *alone, "--trainer.max_epochs=3", "--ckpt_path=last")
    longer = checkpoint(tmp_path)
    assert longer["epoch"] == 2
    assert not torch.equal(longer["state_dict"]["network.classifier.1.weight"], weights["network.classifier.1.weight"])


def test_a_trainer_that_has_averaged_tests_the_average(
    toy_data: Callable[..., ToyCarsDataModule], tmp_path: Path
) -> None:
    data = toy_data()
    model = ImageClassifier("squeezenet1_1", None, data.class_names, image_size=64, preprocessing=data.preprocessing)
    trainer = L.Trainer(
        accelerator="cpu", max_epochs=1, callbacks=[ExponentialMovingAverage(0.9)], logger=False,
        default_root_dir=tmp_path, use_distributed_sampler=False, enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(model, data)
    averaged = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    path = trainer.checkpoint_callback.best_model_path  # type: ignore[union-attr]
    for evaluate in (trainer.validate, trainer.test):
        evaluate(model, data, ckpt_path=path, verbose=False)
        for name, tensor in model.state_dict().items():
            assert torch.equal(tensor, averaged[name])


def test_one_callback_averages_each_of_several_trainings(tmp_path: Path) -> None:
    averaging = ExponentialMovingAverage(0.5)
    for _ in range(2):
        torch.manual_seed(0)
        module = BoringModel()
        before = module.layer.weight.detach().clone()
        trainer = L.Trainer(
            accelerator="cpu", max_epochs=1, limit_train_batches=4, limit_val_batches=0, callbacks=[averaging],
            logger=False, enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
            default_root_dir=tmp_path,
        )  # fmt: skip
        trainer.fit(module)
        assert not torch.equal(module.layer.weight, before)


@pytest.mark.slow
def test_averaging_can_be_left_out_when_a_run_is_resumed(run: Callable[..., None], tmp_path: Path) -> None:
    run("fit", "--ema.decay=0.9", "--trainer.max_epochs=1")
    averaged = checkpoint(tmp_path)
    with pytest.warns(UserWarning, match="goes on without"):
        run("fit", "--ckpt_path=last", "--trainer.max_epochs=2", "--model.learning_rate=0", "--model.weight_decay=0")
    after = checkpoint(tmp_path)["state_dict"]
    for name, tensor in averaged["current_model_state"].items():
        torch.testing.assert_close(after[name], tensor)


def test_weights_of_16_bits_are_not_averaged(mistake: Callable[..., str]) -> None:
    answer = mistake("fit", "--ema.decay=0.9", "--trainer.precision=bf16-true")
    assert "where a moving average stands still: choose bf16-mixed, or set ema.decay to null" in answer


def test_accumulated_gradients_are_those_of_the_large_batch(run: Callable[..., None], tmp_path: Path) -> None:
    network = ["--model.dropout=0", "--model.optimizer=sgd", "--model.learning_rate=0.01"]
    run("fit", *network, "--data.batch_size=16")
    run("fit", *network, "--data.batch_size=8", "--trainer.accumulate_grad_batches=2")
    whole, parts = checkpoint(tmp_path), checkpoint(tmp_path, "version_1")
    assert whole["global_step"] == parts["global_step"]
    for name, tensor in whole["state_dict"].items():
        difference = (parts["state_dict"][name] - tensor).double().norm()
        assert difference <= 0.02 * tensor.double().norm(), name  # 0.003 by rounding; 2.9 at twice the rate


def test_progressive_resizing_grows_to_the_full_size(run: Callable[..., None], tmp_path: Path) -> None:
    resizing = ProgressiveResizing(start=0.5, until=0.75)
    assert [resizing.side(256, epoch, 8) for epoch in range(8)] == [128, 160, 160, 192, 224, 224, 256, 256]
    assert [ProgressiveResizing().side(256, epoch, 8) for epoch in range(8)] == [256] * 8
    options = ["--progressive_resizing.start=0.5", "--progressive_resizing.until=0.6", "--trainer.max_epochs=9"]
    options += ["--trainer.max_steps=12"]  # which are three epochs
    run("fit", *options, f"{PROBE}NetworkInputs", f"--trainer.callbacks.file={tmp_path / 'sides'}")
    sides = {tuple(line.split()) for line in (tmp_path / "sides").read_text().splitlines()}
    assert sides == {("0", "32"), ("1", "64"), ("2", "64")}


def test_a_network_of_one_size_cannot_be_resized(mistake: Callable[..., str]) -> None:
    network = ["--model.backbone=timm/vit_tiny_patch16_224", "--progressive_resizing.start=0.5"]
    assert "vit_tiny" in mistake("fit", *network)


def test_balanced_sampling_evens_the_classes_out(toy_data: Callable[..., ToyCarsDataModule]) -> None:
    data = toy_data(balanced_sampling=True)
    data.setup("fit")
    labels = data.labels("train")
    skewed = [index for index, label in enumerate(labels) if label == 0 or index % 4 == 0]
    data.datasets["train"].samples = data.datasets["train"].samples.take(torch.tensor(skewed).numpy())
    labels = data.labels("train")
    before, drawn = Counter(labels.tolist()), Counter[int]()
    sampler: Any = data.train_dataloader().sampler
    for epoch in range(60):
        sampler.set_epoch(epoch)
        drawn.update(int(labels[draw.sample]) for draw in sampler)
    assert before[0] > 3 * min(before.values())
    assert max(drawn.values()) < 1.35 * min(drawn.values())

    sampler.set_epoch(0)
    draws = list(sampler)
    twice = next(draw for draw in draws if draw.repetition == 1)
    dataset = data.datasets["train"]
    assert not torch.equal(dataset[twice][0], dataset[twice._replace(repetition=0)][0])


def test_random_erasing_is_the_last_step(toy_data: Callable[..., ToyCarsDataModule]) -> None:
    plain, erased = toy_data(), toy_data(random_erasing=1.0)
    for data in (plain, erased):
        data.setup("fit")
    changed = [
        (plain.datasets["train"][index][0] != erased.datasets["train"][index][0]).any(dim=0).float().mean()
        for index in range(20)
    ]
    assert all(0.01 < float(share) < 0.4 for share in changed)
    first, again = (erased.datasets["train"][3][0] for _ in range(2))
    assert torch.equal(first, again)


def test_dropout_and_stochastic_depth_reach_the_network() -> None:
    model = ImageClassifier("efficientnet_b0", None, ["a", "b"], dropout=0.45, stochastic_depth=0.3)
    assert {m.p for m in model.network.modules() if isinstance(m, torch.nn.Dropout)} == {0.45}
    depths = [m.p for m in model.network.modules() if isinstance(m, StochasticDepth)]
    assert depths == sorted(depths)
    assert 0.25 < depths[-1] < 0.3
    timm = ImageClassifier("timm/tf_efficientnet_lite0", None, ["a", "b"], dropout=0.45, stochastic_depth=0.3)
    assert timm.network.drop_rate == 0.45


def test_a_network_without_dropout_says_so(mistake: Callable[..., str]) -> None:
    answer = mistake("fit", "--model.backbone=resnet18", "--model.dropout=0.2")
    assert "model.dropout" in answer
    assert "resnet18" in answer
    with pytest.warns(UserWarning, match="model.dropout has no effect on model.backbone convnext_tiny"):
        ImageClassifier("convnext_tiny", None, ["a", "b"], dropout=0.3)


@pytest.mark.parametrize(
    "option",
    [
        "model.mixup_alpha=-1", "model.dropout=1", "model.stochastic_depth=-0.1", "data.random_erasing=2",
        "ema.decay=1", "progressive_resizing.start=1.5", "progressive_resizing.until=0", "unfreezing.patience=0",
        "unfreezing.warmup_epochs=-1", "lr_finder.min_lr=2", "lr_finder.steps=3", "batch_size_finder.smallest=1",
        "batch_size_finder.steps=1",
    ],
)  # fmt: skip
def test_impossible_values_are_refused(mistake: Callable[..., str], option: str) -> None:
    answer = mistake("fit", f"--{option}")
    assert option.partition("=")[0].rpartition(".")[2] in answer


def test_a_ramp_is_a_line() -> None:
    assert [ramp(step, 4) for step in range(6)] == pytest.approx([0.01, 0.2575, 0.505, 0.7525, 1, 1])
    assert ramp(0, 0) == 1

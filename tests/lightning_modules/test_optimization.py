import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader, IterableDataset

from datamodules import ToyCarsDataModule
from datamodules.loading.samplers import ShuffledSampler
from lightning_modules import ImageClassifier
from lightning_modules.training.optimization import build_optimizer, parameter_groups, warmup_cosine
from train import main

pytestmark = pytest.mark.slow


def test_the_schedule_is_a_line_and_half_a_cosine() -> None:
    groups = {"body": [nn.Parameter(torch.zeros(1))], "head": [nn.Parameter(torch.zeros(1))]}
    optimizer = build_optimizer(parameter_groups(groups, 0.2, 0.5, 0.0), "sgd", 0.9)
    scheduler = LambdaLR(optimizer, warmup_cosine(warmup_steps=10, total_steps=100))
    rates = []
    for _ in range(100):
        rates.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        scheduler.step()
    for step, (body, head) in enumerate(rates):
        rise, fall = 0.01 + 0.99 * step / 10, (1 + math.cos(math.pi * (step - 10) / 90)) / 2
        expected = 0.2 * (rise if step < 10 else fall)
        assert head == pytest.approx(expected, abs=1e-6)
        assert body == pytest.approx(expected / 2, abs=1e-6)


@pytest.mark.parametrize(("warmup", "total"), [(0, 1), (5, 1), (0, 10), (20, 10)])
def test_short_runs_have_a_schedule_too(warmup: int, total: int) -> None:
    factor = warmup_cosine(warmup, total)
    assert all(0 <= factor(step) <= 1 for step in range(total + 2))


def test_rates_decay_towards_the_input_and_norms_and_biases_are_not_decayed() -> None:
    model = ImageClassifier("resnet18", None, ["a", "b"])
    groups = {name: list(model.layers.parameters(name)) for name in model.group_names}
    made = parameter_groups(groups, learning_rate=1.0, layer_decay=0.5, weight_decay=0.1)
    assert list(dict.fromkeys(group["layers"] for group in made)) == [*model.group_names]
    rates = {group["layers"]: group["lr"] for group in made}
    assert rates == {"stem": 1 / 32, "layer1": 1 / 16, "layer2": 1 / 8, "layer3": 1 / 4, "layer4": 1 / 2, "head": 1.0}
    decayed = {id(parameter) for group in made if group["weight_decay"] for parameter in group["params"]}
    for module in model.network.modules():
        for name, parameter in module.named_parameters(recurse=False):
            assert (id(parameter) in decayed) == (name == "weight" and not isinstance(module, nn.BatchNorm2d))
    assert sum(len(group["params"]) for group in made) == len(list(model.parameters()))


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_training_equals_plain_pytorch(
    arguments: list[str], toy_data: Callable[..., ToyCarsDataModule], tmp_path: Path, optimizer: str
) -> None:
    network = ["--model.backbone=mobilenet_v3_small", f"--model.optimizer={optimizer}", "--model.learning_rate=0.01"]
    main(["fit", *arguments, *network, "--model.warmup_epochs=1", "--model.weight_decay=0.01"])
    trained = torch.load(tmp_path / "logs/demo/version_0/checkpoints/last.ckpt", weights_only=True)["state_dict"]

    import lightning as L
    import numpy as np

    L.seed_everything(42)
    data = toy_data(seed=42)
    data.setup("fit")
    model = ImageClassifier("mobilenet_v3_small", None, data.class_names, image_size=64)
    parameters = [
        {"params": [tensor for tensor in model.parameters() if tensor.ndim > 1], "weight_decay": 0.01},
        {"params": [tensor for tensor in model.parameters() if tensor.ndim == 1], "weight_decay": 0.0},
    ]
    kinds: dict[str, Callable[[], torch.optim.Optimizer]] = {
        "adamw": lambda: torch.optim.AdamW(parameters, lr=0.01),
        "sgd": lambda: torch.optim.SGD(parameters, lr=0.01, momentum=0.9, nesterov=True),
    }
    plain = kinds[optimizer]()
    loader = data.train_dataloader()
    steps, step = 2 * len(loader), 0
    model.train()
    for epoch in range(2):
        assert isinstance(loader.sampler, ShuffledSampler)
        loader.sampler.set_epoch(epoch)
        for number, (images, labels) in enumerate(loader):
            torch.manual_seed(int(np.random.SeedSequence((42, step, number, 0)).generate_state(1)[0]))
            rise = steps // 2
            factor = 0.01 + 0.99 * step / rise if step < rise else (1 + math.cos(math.pi * (step - rise) / rise)) / 2
            for group in plain.param_groups:
                group["lr"] = 0.01 * factor
            loss = nn.functional.cross_entropy(model.network(model.normalize(images)), labels, label_smoothing=0.1)
            plain.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            plain.step()
            step += 1
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(tensor, trained[name], rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_warm_up_counts_the_last_step_of_an_epoch_that_has_fewer_batches(
    run: Callable[..., None], tmp_path: Path
) -> None:
    run(
        "fit",
        "--model.warmup_epochs=2",
        "--data.batch_size=16",
        "--trainer.accumulate_grad_batches=3",
        "--trainer.max_epochs=4",
    )
    events = EventAccumulator(str(tmp_path / "logs/demo/version_0")).Reload()
    rates = [event.value for event in events.Scalars("lr/head")]
    assert len(rates) == 8  # 4 batches are two steps
    assert max(range(8), key=rates.__getitem__) == 4


@pytest.mark.slow
def test_warm_up_is_counted_in_epochs_however_the_run_is_measured(run: Callable[..., None], tmp_path: Path) -> None:
    options = ["--model.warmup_epochs=1", "--data.batch_size=8", "--trainer.accumulate_grad_batches=2"]
    run("fit", *options, "--trainer.max_epochs=3")  # 64 images: 8 batches, 4 steps an epoch
    run("fit", *options, "--trainer.max_epochs=-1", "--trainer.max_steps=12")
    for version in ("version_0", "version_1"):
        events = EventAccumulator(str(tmp_path / "logs/demo" / version)).Reload()
        rates = [event.value for event in events.Scalars("lr/head")]
        assert len(rates) == 12
        assert rates[0] == pytest.approx(0.01 * 0.0005)
        assert max(range(12), key=rates.__getitem__) == 4


def test_a_run_without_an_end_is_refused(mistake: Callable[..., str]) -> None:
    assert "max_epochs" in mistake("fit", "--trainer.max_epochs=-1")


class Endless(IterableDataset[tuple[torch.Tensor, torch.Tensor]]):
    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        while True:
            yield torch.zeros(3, 32, 32, dtype=torch.uint8), torch.tensor(0)


class WithAnotherSchedule(ImageClassifier):
    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.SGD(self.parameters(), lr=0.1)
        return [optimizer], [torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 10)]


def plain_trainer(folder: Path, **options: Any) -> L.Trainer:
    return L.Trainer(
        accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False, default_root_dir=folder,
        enable_model_summary=False, **options,
    )  # fmt: skip


def test_data_without_a_length_need_the_length_of_an_epoch(tmp_path: Path) -> None:
    model = ImageClassifier("squeezenet1_1", None, ["a", "b"], image_size=32)
    loader = DataLoader(Endless(), batch_size=2)
    for options in ({"max_epochs": 2}, {"max_steps": 4}):
        with pytest.raises(MisconfigurationException, match=r"no length, .* set trainer\.limit_train_batches"):
            plain_trainer(tmp_path, **options).fit(model, loader)
    plain_trainer(tmp_path, max_epochs=1, limit_train_batches=2).fit(model, loader)


def test_schedules_of_ones_own_are_left_alone(tmp_path: Path) -> None:
    model = WithAnotherSchedule("squeezenet1_1", None, ["a", "b"], image_size=32, layer_decay=0.5)
    trainer = plain_trainer(tmp_path, max_epochs=2, limit_train_batches=2)
    trainer.fit(model, DataLoader(Endless(), batch_size=2))
    (optimizer,) = trainer.optimizers
    expected = (1 + math.cos(math.pi * 2 / 10)) / 2 * 0.1  # a step of the schedule after each epoch
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([expected])

"""What is chosen for the machine, and that it holds for the whole run."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace as Namespace
from typing import Any

import pytest
import torch
import yaml
from lightning.fabric.utilities.exceptions import MisconfigurationException
from torch import nn

from command_line.hardware import choice as hardware
from command_line.hardware.precision_trial import Trial, try_precisions
from command_line.hardware.torchrun_processes import started_processes
from lightning_modules import ImageClassifier
from train import main

Run = Callable[..., None]
OPEN: dict[str, Any] = {
    "accelerator": "auto",
    "precision": "auto",
    "float32_matmul_precision": None,
    "benchmark": None,
    "deterministic": None,
    "plugins": None,
    "num_nodes": 1,
    "devices": "auto",
}


@pytest.fixture(scope="module")
def classifier() -> ImageClassifier:
    return ImageClassifier("resnet18", None, ["a", "b"], 64)


def pretend(monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int] | None) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: capability is not None)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Card")


@pytest.mark.parametrize(
    ("capability", "precision", "matmul"),
    [
        ((9, 0), "bf16-mixed", "high"),
        ((8, 0), "bf16-mixed", "high"),
        ((7, 0), "16-mixed", None),
        ((6, 1), "32-true", None),
    ],
)
def test_gpus_get_what_they_compute_in(
    classifier: ImageClassifier,
    monkeypatch: pytest.MonkeyPatch,
    capability: tuple[int, int],
    precision: str,
    matmul: str | None,
) -> None:
    pretend(monkeypatch, capability)
    chosen = hardware.choose(Namespace(**OPEN), classifier, training=True)
    assert (chosen.precision, chosen.float32_matmul_precision, chosen.benchmark) == (precision, matmul, True)
    assert chosen.reasons[0].startswith(f"{precision} (Card computes in ")


def test_what_the_user_says_is_left_alone(classifier: ImageClassifier, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, (9, 0))
    said = {"precision": "32-true", "float32_matmul_precision": "highest", "benchmark": False}
    chosen = hardware.choose(Namespace(**OPEN | said), classifier, training=True)
    assert chosen == ("32-true", False, "highest", [])
    assert hardware.choose(Namespace(**OPEN | {"deterministic": True}), classifier, training=True).benchmark is None
    plugged = hardware.choose(Namespace(**OPEN | {"plugins": [object()]}), classifier, training=True)
    assert plugged.precision is None  # a plugin of the user's may say it


def test_evaluations_without_a_run_are_in_full_precision(
    classifier: ImageClassifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch, (9, 0))
    assert hardware.choose(Namespace(**OPEN), classifier, training=False).precision == "32-true"


def test_cpus_are_tried(classifier: ImageClassifier, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, None)
    monkeypatch.setattr(hardware, "cpu_has_bfloat16", lambda: True)
    for trial, expected in (
        (Trial(0.2, 0.1), "bf16-mixed"),
        (Trial(0.11, 0.1), "32-true"),
        (Trial(0.1, 0.2), "32-true"),
    ):
        monkeypatch.setattr(hardware, "try_precisions", lambda *_, answer=trial: answer)
        assert hardware.choose(Namespace(**OPEN), classifier, training=True).precision == expected
    several = hardware.choose(Namespace(**OPEN | {"devices": 2}), classifier, training=True)
    assert several.precision == "32-true"  # two processes might not agree
    monkeypatch.setattr(hardware, "cpu_has_bfloat16", lambda: False)
    monkeypatch.setattr(hardware, "try_precisions", None)  # isn't called
    assert hardware.choose(Namespace(**OPEN), classifier, training=True).precision == "32-true"


def started_by_torchrun(monkeypatch: pytest.MonkeyPatch, machines: int, processes: int) -> None:
    settings = {"TORCHELASTIC_RUN_ID": "test", "GROUP_WORLD_SIZE": machines, "LOCAL_WORLD_SIZE": processes}
    for name, value in settings.items():
        monkeypatch.setenv(name, str(value))


def test_torchrun_says_how_many_processes_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    assert started_processes({"num_nodes": 1, "devices": "auto"}) == {}
    started_by_torchrun(monkeypatch, 3, 4)
    assert started_processes({"num_nodes": 1, "devices": "auto"}) == {"num_nodes": 3, "devices": 4}
    assert started_processes({"num_nodes": 1, "devices": "-1"}) == {"num_nodes": 3, "devices": 4}
    assert started_processes({"num_nodes": 3, "devices": "4"}) == {}
    assert started_processes({"num_nodes": 3, "devices": [0, 1, 2, 3]}) == {}


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        (
            {"num_nodes": 2, "devices": "auto"},
            "trainer.num_nodes is 2, but torchrun has started it on 3 machines",
        ),
        (
            {"num_nodes": 3, "devices": 8},
            "trainer.devices is 8, but torchrun has started 4 processes on each machine",
        ),
    ],
)
def test_numbers_other_than_torchruns_are_an_error(
    config: dict[str, Any], sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    started_by_torchrun(monkeypatch, 3, 4)
    with pytest.raises(MisconfigurationException, match=sentence):
        started_processes(config)


def test_one_process_of_a_job_that_had_several_chooses_as_they_did(
    classifier: ImageClassifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch, None)
    started_by_torchrun(monkeypatch, 1, 1)
    monkeypatch.setattr(hardware, "cpu_has_bfloat16", lambda: True)
    monkeypatch.setattr(hardware, "try_precisions", lambda *_: pytest.fail("tried"))
    assert hardware.choose(Namespace(**OPEN), classifier, training=True).precision == "32-true"


def test_a_trial_leaves_no_trace(classifier: ImageClassifier) -> None:
    before = {name: value.clone() for name, value in classifier.state_dict().items()}
    state, mode = torch.get_rng_state(), classifier.training
    trial = try_precisions(classifier.network, 64)
    assert min(trial) > 0
    assert torch.equal(torch.get_rng_state(), state)
    assert classifier.training is mode
    assert all(parameter.grad is None for parameter in classifier.parameters())
    for name, value in classifier.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_a_network_that_fails_is_answered_by_others(
    monkeypatch: pytest.MonkeyPatch, classifier: ImageClassifier
) -> None:
    pretend(monkeypatch, None)
    monkeypatch.setattr(hardware, "cpu_has_bfloat16", lambda: True)
    monkeypatch.setattr(classifier, "network", nn.Linear(3, 2))  # of (batch, 3, 64, 64)
    assert hardware.choose(Namespace(**OPEN), classifier, training=True).precision == "32-true"


def test_a_run_keeps_its_precision(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(hardware, "cpu_has_bfloat16", lambda: True)
    monkeypatch.setattr(hardware, "try_precisions", lambda *_: Trial(0.3, 0.1))
    run("fit", "--trainer.precision=auto", "--data.num_workers=null", "--trainer.max_epochs=1")
    line = next(line for line in caplog.text.splitlines() if "Chosen for this machine: " in line)
    assert "bf16-mixed (a step takes 100 ms in bfloat16, 300 ms in float32); " in line
    assert "loading process" in line
    folder = tmp_path / "logs/demo/version_0"
    assert yaml.safe_load((folder / "config.yaml").read_text())["trainer"]["precision"] == "bf16-mixed"
    assert ImageClassifier.load(folder).settings.precision == "bf16-mixed"
    monkeypatch.setattr(hardware, "try_precisions", lambda *_: pytest.fail("tried again"))
    main(["fit", str(folder), "--trainer.max_epochs=2"])
    resumed = yaml.safe_load((folder / "resume-config.yaml").read_text())
    assert resumed["trainer"]["precision"] == "bf16-mixed"


@pytest.mark.slow
def test_a_command_leaves_the_settings_of_pytorch_as_it_found_them(run: Callable[..., None]) -> None:
    def settings() -> tuple[object, ...]:
        cudnn = torch.backends.cudnn
        enabled = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
        return torch.get_float32_matmul_precision(), *enabled, cudnn.benchmark, cudnn.deterministic

    before = settings()
    options = ["--trainer.float32_matmul_precision=medium", "--trainer.deterministic=warn", "--trainer.benchmark=true"]
    run("fit", "--trainer.max_epochs=1", "--trainer.limit_train_batches=1", *options)
    assert settings() == before

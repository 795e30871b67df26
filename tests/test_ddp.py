"""Two processes on the CPU, through the real command line."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

CHECKOUT = Path(__file__).parent.parent


@pytest.fixture
def command(arguments: list[str]) -> list[str]:
    strategy = ["--config", "configs/strategy/ddp.yaml", "--trainer.accelerator=cpu"]
    return [
        *arguments,
        *strategy,
        "--model.backbone=mobilenet_v3_small",
        "--data.test_images=5",
        "--data.num_workers=0",
    ]


def call(subcommand: str, devices: int, *options: str) -> None:
    finished = subprocess.run(
        [sys.executable, "train.py", subcommand, *options, f"--trainer.devices={devices}"],
        cwd=CHECKOUT, env={**os.environ, "OMP_NUM_THREADS": "1"}, timeout=300,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr[-3000:]


def test_two_devices_train_what_one_trains(arguments: list[str], tmp_path: Path) -> None:
    # no batch statistics and no stochastic depth, so that a split batch computes the same; SGD, since AdamW's first
    # steps take the sign of a gradient, also of one that is 0 but for rounding
    network = ["--model.backbone=convnext_tiny", "--model.stochastic_depth=0", "--model.optimizer=sgd"]
    recipe = ["--model.learning_rate=0.02", "--unfreezing.every_n_epochs=1", "--trainer.max_epochs=4"]
    strategy = ["--config", "configs/strategy/ddp.yaml", "--trainer.accelerator=cpu"]
    traffic = ["--trainer.callbacks+=tests.probes.GradientTraffic", f"--trainer.callbacks.file={tmp_path / 'traffic'}"]
    runs = {}
    for devices in (2, 1):
        logs = tmp_path / f"devices{devices}"
        folder = [f"--trainer.logger.init_args.save_dir={logs}"]
        call("fit", devices, *arguments, *network, *recipe, *folder, *strategy, *(traffic if devices == 2 else []))
        last = torch.load(logs / "demo/version_0/checkpoints/last.ckpt", weights_only=True)
        runs[devices] = last["state_dict"]
    moved = 0
    for name, tensor in runs[1].items():
        torch.testing.assert_close(tensor, runs[2][name], rtol=1e-4, atol=1e-6)
        moved += name.endswith("bias") and bool(tensor.any())  # biases begin at 0
    assert moved > 60  # all groups but the last have been opened and trained

    lines = [line.split() for line in (tmp_path / "traffic").read_text().splitlines()]
    synchronised, trainable = ([int(line[column]) for line in lines] for column in (0, 1))
    assert synchronised == trainable  # frozen layers send no gradients
    assert trainable == sorted(set(trainable))
    assert len(trainable) == 4


@pytest.mark.parametrize(("callback", "agrees"), [("carspotter", True), ("lightning", False)])
def test_lightnings_own_callback_drifts_apart_where_ours_does_not(callback: str, agrees: bool, tmp_path: Path) -> None:
    finished = subprocess.run(
        [sys.executable, str(CHECKOUT / "benchmarks/unfreezing_under_ddp.py"), callback],
        cwd=tmp_path, env={**os.environ, "OMP_NUM_THREADS": "1"}, timeout=300,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr[-3000:]
    difference = float(finished.stdout.strip().split()[-1])
    assert "142 of 142 tensors trained" in finished.stdout
    assert (difference == 0) == agrees


def test_devices_agree_and_every_sample_counts_once(command: list[str], tmp_path: Path, toy_root: Path) -> None:
    logs = f"--trainer.logger.init_args.save_dir={tmp_path / 'two'}"
    probe = ["--trainer.callbacks+=tests.probes.WeightsOfEachDevice", f"--trainer.callbacks.folder={tmp_path}"]
    # 13 validation images on two devices: 7 and 6, in batches of 3 at most
    uneven = ["--data.val_fraction=0.165", "--data.batch_size=6"]
    recipe = ["--unfreezing.every_n_epochs=1", "--trainer.max_epochs=3", "--ema.decay=0.9", "--model.mixup_alpha=0.2"]
    call("fit", 2, *command, *uneven, logs, *probe, *recipe)
    first, second = (torch.load(tmp_path / f"rank{rank}.pt", weights_only=True) for rank in (0, 1))
    trained = [name for name in first if name.startswith("network.features.12")]
    assert trained
    for name, tensor in first.items():
        if "running_" not in name:  # BatchNorm statistics are each device's own until they are broadcast
            assert torch.equal(tensor, second[name]), name

    run_dir = tmp_path / "two/demo/version_0"
    checkpoint = ["--ckpt_path", str(run_dir / "checkpoints/best.ckpt")]
    fit = json.loads((run_dir / "fit_scores.json").read_text())
    scores = []
    for devices in (2, 1):
        call("validate", devices, *command, *uneven, *checkpoint)
        call("test", devices, *command, "--data.batch_size=6", *checkpoint)
        photos = next(toy_root.glob("edition*")) / "cars_test"
        call("predict", devices, *command, *checkpoint, f"--data.predict_dir={photos}")
        both = [json.loads((run_dir / f"{stage}_scores.json").read_text()) for stage in ("val", "test")]
        predictions = [line.split(",")[:2] for line in (run_dir / "predictions.csv").read_text().splitlines()]
        matrix = (run_dir / "test_confusion_matrix.csv").read_text()
        scores.append((both[0] | both[1], predictions, matrix))
    (two, two_predictions, two_matrix), (one, one_predictions, one_matrix) = scores
    assert two_matrix == one_matrix
    assert two_predictions == one_predictions
    assert len(one_predictions) == 41
    assert {key: value for key, value in two.items() if key != "checkpoint"} == pytest.approx(
        {key: value for key, value in one.items() if key != "checkpoint"}, abs=1e-5
    )
    assert two["val/f1"] == pytest.approx(fit["best val/f1"], abs=1e-5)

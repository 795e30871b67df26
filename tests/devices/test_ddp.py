"""Two processes on the CPU, through the real command line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.support.checkout import CHECKOUT
from tests.support.processes import run_devices

pytestmark = pytest.mark.slow


def test_two_devices_train_what_one_trains(arguments: list[str], tmp_path: Path) -> None:
    # no batch statistics and no stochastic depth, so that a split batch computes the same; SGD, since AdamW's first
    # steps take the sign of a gradient, also of one that is 0 but for rounding
    network = ["--model.backbone=convnext_tiny", "--model.stochastic_depth=0", "--model.optimizer=sgd"]
    recipe = ["--model.learning_rate=0.02", "--unfreezing.every_n_epochs=1", "--trainer.max_epochs=4"]
    traffic = [
        "--trainer.callbacks+=tests.support.probes.GradientTraffic",
        f"--trainer.callbacks.file={tmp_path / 'traffic'}",
    ]
    runs = {}
    for devices in (2, 1):
        logs = tmp_path / f"devices{devices}"
        folder = [f"--trainer.logger.init_args.save_dir={logs}"]
        run_devices(["fit", *arguments, *network, *recipe, *folder, *(traffic if devices == 2 else [])], devices)
        last = torch.load(logs / "demo/version_0/checkpoints/last.ckpt", weights_only=True)
        runs[devices] = last["state_dict"]
    moved = 0
    for name, tensor in runs[1].items():
        torch.testing.assert_close(tensor, runs[2][name], rtol=1e-4, atol=1e-6)
        moved += name.endswith("bias") and bool(tensor.any())  # biases begin at 0
    assert moved > 60  # all groups but the last have been unfrozen and trained

    lines = [line.split() for line in (tmp_path / "traffic").read_text().splitlines()]
    synchronised, trainable = ([int(line[column]) for line in lines] for column in (0, 1))
    assert synchronised == trainable  # frozen layers send no gradients
    assert trainable == sorted(set(trainable))
    assert len(trainable) == 4


@pytest.mark.parametrize(("callback", "agrees"), [("carspotter", True), ("lightning", False)])
def test_lightnings_own_callback_drifts_apart_where_ours_does_not(callback: str, agrees: bool, tmp_path: Path) -> None:
    finished = subprocess.run(
        [sys.executable, "-m", "benchmarks.unfreezing_under_ddp", callback],
        cwd=tmp_path, env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(CHECKOUT)}, timeout=300,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr[-3000:]
    difference = float(finished.stdout.strip().split()[-1])
    assert "142 of 142 tensors trained" in finished.stdout
    assert (difference == 0) == agrees


def test_devices_end_with_the_same_weights(arguments: list[str], tmp_path: Path) -> None:
    options = [
        *arguments, "--config", "configs/strategy/ddp.yaml", "--trainer.accelerator=cpu", "--trainer.devices=2",
        "--model.backbone=mobilenet_v3_small", "--unfreezing.every_n_epochs=1", "--trainer.max_epochs=3",
        "--ema.decay=0.9", "--model.mixup_alpha=0.2", "--trainer.callbacks+=tests.support.probes.WeightsOfEachDevice",
        f"--trainer.callbacks.folder={tmp_path}",
    ]  # fmt: skip
    finished = subprocess.run(  # as typed: Lightning starts the second process itself
        [sys.executable, "train.py", "fit", *options],
        cwd=CHECKOUT, env={**os.environ, "OMP_NUM_THREADS": "1"}, timeout=300,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr[-3000:]
    first, second = (torch.load(tmp_path / f"rank{rank}.pt", weights_only=True) for rank in (0, 1))
    assert [name for name in first if name.startswith("network.features.12")]
    for name, tensor in first.items():
        if "running_" not in name:  # BatchNorm statistics are each device's own until they are broadcast
            assert torch.equal(tensor, second[name]), name


def test_each_step_sees_the_same_images_on_any_number_of_devices(arguments: list[str], tmp_path: Path) -> None:
    seen = {}
    for devices in (1, 2, 3, 4):
        folder = tmp_path / str(devices)
        folder.mkdir()
        record = ["--trainer.callbacks+=tests.support.probes.ImageRecord", f"--trainer.callbacks.folder={folder}"]
        run_devices(["fit", *arguments, *record, "--data.batch_size=12"], devices)
        seen[devices] = sorted(line for file in folder.iterdir() for line in file.read_text().splitlines())
    assert len(set(seen[1])) == len(seen[1]) == 2 * 60  # 5 steps an epoch, and no picture twice alike
    assert seen[1] == seen[2] == seen[3] == seen[4]

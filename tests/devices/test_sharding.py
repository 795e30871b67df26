"""Training with a network that is sharded among devices, on the CPU."""

import io
import json
import math
import pickle
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch.distributed.checkpoint.metadata import BytesStorageMetadata

from datamodules.layouts import recognise_layout
from datamodules.reading.image_reader import read_image
from lightning_modules import ImageClassifier
from runs.checkpoints import read_checkpoint
from runs.sharded_checkpoint import load_sharded
from tests.support.malicious import Malicious
from tests.support.processes import TIMEOUT, run_devices, start_devices

pytestmark = pytest.mark.slow

OPTIONS = [  # a network with BatchNorm, whose layers are unfrozen gradually
    "--model.backbone=mobilenet_v3_small", "--data.image_size=32", "--data.batch_size=16", "--unfreezing.epochs=[1,2]",
    "--trainer.max_epochs=3", "--checkpoint.every_n_steps=1", "--model.optimizer=sgd", "--previews.enabled=false",
]  # fmt: skip


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sharding")


@pytest.fixture
def experiment(arguments: list[str], root: Path) -> list[str]:
    return [*arguments, *OPTIONS, f"--data.root={root / 'cars'}", f"--trainer.logger.init_args.save_dir={root}"]


@pytest.fixture
def sharded(experiment: list[str], root: Path) -> Path:
    """The run of a sharded training, once for all tests: two devices, both killed in the second epoch, and resumed."""
    options = ["fit", *experiment, "--trainer.logger.init_args.name=sharded", "--ckpt_path=last"]
    if not (root / "sharded").exists():
        kill = ["--trainer.callbacks+=tests.support.interruptions.Signal", "--trainer.callbacks.moment=batch"]
        kill += ["--trainer.callbacks.count=6", f"--trainer.callbacks.number={int(signal.SIGKILL)}"]
        processes = start_devices([*options, *kill, "--trainer.callbacks.rank=null"], 2, "fsdp")
        for process in processes:
            process.join(TIMEOUT)
        assert [process.exitcode for process in processes] == [-signal.SIGKILL] * 2
        run_devices(options, 2, "fsdp")
    return root / "sharded/version_0"


def test_sharded_training_is_that_of_ddp_and_survives_being_killed(
    experiment: list[str], sharded: Path, root: Path
) -> None:
    for strategy in ("ddp", "fsdp"):
        run_devices(["fit", *experiment, f"--trainer.logger.init_args.name={strategy}"], 2, strategy)
    ddp = torch.load(root / "ddp/version_0/checkpoints/last.ckpt", weights_only=True)
    torn, whole = (load_sharded(root / name / "version_0/checkpoints/last.ckpt") for name in ("sharded", "fsdp"))
    for other in (torn, whole):
        assert other["unfrozen_at"] == ddp["unfrozen_at"] == {"stage5": 4, "stage4": 8}
        assert other["global_step"] == ddp["global_step"] == 12
    assert torn["state_dict"].keys() == ddp["state_dict"].keys()
    for name, tensor in torn["state_dict"].items():
        assert torch.equal(tensor, whole["state_dict"][name]), name
        # convolutions round in another way, since sharded weights aren't in channels_last
        torch.testing.assert_close(tensor, ddp["state_dict"][name], rtol=1e-5, atol=1e-6, msg=name)


@pytest.mark.parametrize("command", ["validate", "test", "predict"])
def test_one_device_and_two_take_a_sharded_checkpoint(
    experiment: list[str], sharded: Path, tmp_path: Path, run: Callable[..., None], command: str
) -> None:
    options = [*experiment[2:], f"--ckpt_path={sharded}", "--config=configs/strategy/cpu.yaml"]
    options += [f"--data.predict_dir={next(sharded.parents[1].glob('cars/edition*/cars_test'))}"] * (
        command == "predict"
    )
    run(command, *options)
    if command == "predict":
        assert len((sharded / "predict/predictions.csv").read_text().splitlines()) == 1 + 40
        return
    if command == "test":
        content = load_sharded(sharded / "checkpoints/best.ckpt")
        model = ImageClassifier(**{**content["hyper_parameters"], "weights": None}).eval()
        model.load_state_dict(content["state_dict"])
        loaded = ImageClassifier.load(sharded).state_dict()
        assert all(torch.equal(loaded[name], tensor) for name, tensor in model.state_dict().items())
        samples = recognise_layout(next(sharded.parents[1].glob("cars/edition*"))).read("test")
        assert samples.labels is not None
        right = [model.class_names[label] for label in samples.labels]
        losses = [
            -math.log(model.classify(read_image(file))[name]) for file, name in zip(samples.files, right, strict=True)
        ]
        scores = json.loads((sharded / "test/test_scores.json").read_text())
        assert scores["test/loss"] == pytest.approx(sum(losses) / 40, abs=1e-5)
        return
    fit, alone = (json.loads((sharded / name).read_text()) for name in ("fit_scores.json", "validate/val_scores.json"))
    run_devices(["validate", *experiment, f"--ckpt_path={sharded}"], 2)
    two = json.loads((sharded / "validate-2/val_scores.json").read_text())
    for name in (name for name in fit if name.startswith("val/")):
        assert alone[name] == pytest.approx(fit[name], abs=1e-6), name
        assert two[name] == pytest.approx(fit[name], abs=1e-6), name


def test_training_goes_on_as_it_began(
    experiment: list[str], sharded: Path, mistake: Callable[..., str], run: Callable[..., None], tmp_path: Path
) -> None:
    answer = mistake("fit", *experiment[2:], f"--ckpt_path={sharded}")
    assert "is sharded" in answer
    run("fit", "--trainer.max_epochs=1", "--unfreezing.epochs=null", "--previews.enabled=false")
    sharding = ["--config=configs/strategy/fsdp.yaml", "--trainer.accelerator=cpu", "--trainer.devices=1"]
    answer = mistake("fit", *sharding, "--ckpt_path=last")
    assert "isn't sharded" in answer
    assert "ema.decay" in mistake("fit", *sharding, "--ema.decay=0.9")


@pytest.mark.parametrize("where", ["contents", "class in contents", "optimizer", "rest"])
def test_a_sharded_checkpoint_runs_no_code(
    sharded: Path, tmp_path: Path, mistake: Callable[..., str], where: str
) -> None:
    folder = tmp_path / "evil.ckpt"
    shutil.copytree(sharded / "checkpoints/last.ckpt", folder)
    done = tmp_path / "done"
    contents = pickle.loads((folder / ".metadata").read_bytes())  # noqa: S301 - our own
    if where == "contents":
        contents.planner_data = Malicious(done)
    elif where == "class in contents":
        contents.planner_data = pickle.Pickler
    elif where == "optimizer":
        index = next(
            index
            for index in contents.storage_data
            if isinstance(contents.state_dict_metadata[index.fqn], BytesStorageMetadata)
        )
        buffer = io.BytesIO()
        torch.save(Malicious(done), buffer)
        (folder / "evil").write_bytes(buffer.getvalue())
        place = contents.storage_data[index]
        place.relative_path, place.offset, place.length = "evil", 0, len(buffer.getvalue())
    else:
        torch.save({**read_checkpoint(folder), "evil": Malicious(done)}, folder / "meta.pt")
    (folder / ".metadata").write_bytes(pickle.dumps(contents))
    answer = mistake("test", f"--ckpt_path={folder}")
    assert "Can't read the checkpoint" in answer
    assert not done.exists()

"""Whatever a user may get wrong: one sentence, a code, and nothing on disk is touched."""

import ctypes
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from safetensors.torch import save_file
from scipy.io import loadmat, savemat

from tests.support.layouts import devkit
from tests.support.malicious import Malicious
from tests.support.processes import outcome


def write_pictures(folder: Path, count: int, suffix: str = ".jpg") -> None:
    folder.mkdir(parents=True)
    for number in range(count):
        pixels = np.random.default_rng(number).integers(0, 256, (40, 60, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}{suffix}")


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory, toy_root: Path) -> Path:
    """A folder full of what is wrong, and a run that is right."""
    root = tmp_path_factory.mktemp("files")
    (root / "empty").mkdir()
    (root / "text.txt").write_text("not what you think\n")
    (root / "broken.yaml").write_text("trainer: [max_epochs: 3\n")
    (root / "list.yaml").write_text("- trainer\n- model\n")
    (root / "binary.yaml").write_bytes(b"\xff\xfe\x00\x01" * 20)
    (root / "unknown.yaml").write_text("trainer:\n  max_epoch: 3\n")
    (root / "null.yaml").write_text("model:\n  weight_decay: null\n")
    (root / "type.yaml").write_text("data:\n  init_args:\n    batch_size: many\n")
    for name in ("a", "b"):
        write_pictures(root / f"few/train/{name}", 1)
        write_pictures(root / f"few/test/{name}", 1)
        write_pictures(root / f"pair/train/{name}", 10)
        write_pictures(root / f"pair/test/{name}", 2)
    write_pictures(root / "one/train/a", 10)
    write_pictures(root / "one/test/a", 2)
    (root / "no_pictures/train/a").mkdir(parents=True)
    (root / "classless/train").mkdir(parents=True)
    (root / "no_pictures/train/b").mkdir(parents=True)
    shutil.copytree(root / "pair", root / "damaged")
    for file in (root / "damaged/train/a").iterdir():
        file.write_bytes(file.read_bytes()[:300])
    pictures = [str(file) for file in sorted((root / "pair/train").rglob("*.jpg"))]
    (root / "columns.csv").write_text("file,class\n" + "".join(f"{file},a\n" for file in pictures))
    (root / "missing.csv").write_text(
        "path,label,split\n" + "".join(f"/nowhere/{i}.jpg,{i % 2},train\n" for i in range(20))
    )
    (root / "header.csv").write_text("path,label\n")
    (root / "boxes.csv").write_text(
        "path,label,split,x1,y1,x2,y2\n" + "".join(f"{file},{i % 2},train,9,9,3,3\n" for i, file in enumerate(pictures))
    )
    (root / "split.csv").write_text(
        "path,label,split\n" + "".join(f"{file},{i % 2},somewhere\n" for i, file in enumerate(pictures))
    )
    (root / "exclude.txt").write_text("no/such/picture.jpg\n")
    torch.save({"weights": Malicious(Path("hacked"))}, root / "malicious.pth")
    torch.save({"state_dict": Malicious(Path("hacked"))}, root / "malicious.ckpt")
    torch.save({"state_dict": {}, "epoch": 3}, root / "foreign.ckpt")
    stored = {"backbone": "squeezenet1_1", "class_names": ["a", "b"], "optimizer": "sgd"}
    torch.save({"state_dict": {}, "hyper_parameters": stored}, root / "classes.ckpt")
    torch.save({"state_dict": {}, "hyper_parameters": {**stored, "backbone": "resnet18"}}, root / "network.ckpt")
    data = (root / "network.ckpt").read_bytes()
    (root / "torn.ckpt").write_bytes(data[: len(data) // 2])
    torch.save([1, 2, 3], root / "list.pth")
    torch.save({"features.0.weight": torch.zeros(3, 3)}, root / "other.pth")
    save_file({"features.0.weight": torch.zeros(3, 3)}, root / "other.safetensors")
    network = torchvision.models.squeezenet1_1().state_dict()
    torch.save({name: value * float("nan") for name, value in network.items()}, root / "nan.pth")
    torch.save({name: value[..., None] for name, value in network.items()}, root / "shape.pth")
    devkit(root / "labels")
    annotations = loadmat(root / "labels/devkit/cars_train_annos.mat")
    annotations["annotations"]["class"][0, 3] = 197
    savemat(root / "labels/devkit/cars_train_annos.mat", annotations)
    shutil.copytree(root / "pair", root / "secret")
    (root / "secret/train/a/0.jpg").chmod(0)
    (root / "torn.safetensors").write_bytes((root / "other.safetensors").read_bytes()[:40])
    (root / "torn.pth").write_bytes((root / "other.pth").read_bytes()[:200])
    return root


def seen(root: Path) -> dict[str, tuple[int, int]]:
    return {str(file): (file.stat().st_size, file.stat().st_mtime_ns) for file in root.rglob("*") if file.is_file()}


FOLDER = ["--data=datamodules.ImageFolderDataModule", "--data.image_size=32", "--data.batch_size=4"]
COMMAND_LINE: dict[str, tuple[list[str], str]] = {
    "unknown option": (["--trainer.max_epoch=3"], "Did you mean 'trainer.max_epochs'?"),
    "unknown data option": (["--data.batchsize=3"], "Did you mean 'batch_size'?"),
    "unknown callback option": (["--tta.flips=true"], "Did you mean 'tta.flip'?"),
    "abbreviated option": (["--model.back=resnet18"], "model.back"),
    "number that is none": (["--data.batch_size=many"], "batch_size"),
    "fraction for an integer": (["--trainer.max_epochs=2.5"], "max_epochs"),
    "word for a switch": (["--tta.enabled=perhaps"], "enabled"),
    "no config file": (["--config={files}/none.yaml"], "none.yaml"),
    "a folder for a config": (["--config={files}/empty"], "empty"),
    "config that is no YAML": (["--config={files}/broken.yaml"], "broken.yaml"),
    "config that is a list": (["--config={files}/list.yaml"], "list.yaml"),
    "config that is binary": (["--config={files}/binary.yaml"], "binary.yaml"),
    "config with an unknown key": (["--config={files}/unknown.yaml"], "Did you mean"),
    "config with a wrong type": (["--config={files}/type.yaml"], "batch_size"),
    "class that doesn't exist": (["--data=datamodules.StanfordCar"], "Did you mean 'StanfordCarsDataModule'?"),
    "class of another kind": (["--data=torch.nn.Linear"], "torch.nn.Linear"),
    "transform that doesn't exist": (
        ['--data.train_transforms=[{"class_path": "albumentations.HorizontalFlp"}]'], "HorizontalFlp"
    ),
    "transform with a wrong argument": (
        ['--data.train_transforms=[{"class_path": "albumentations.HorizontalFlip", "init_args": {"q": 1}}]'], "q"
    ),
    "logger that doesn't exist": (["--trainer.logger=lightning.pytorch.loggers.Nonsense"], "Nonsense"),
}  # fmt: skip
VALUES: dict[str, tuple[list[str], str]] = {
    "no batch": (["--data.batch_size=0"], "batch_size"),
    "batch larger than the set": (["--data.batch_size=1000"], "only 64 training images"),
    "negative size": (["--data.image_size=-5"], "image_size"),
    "size that the network can't take": (["--data.image_size=8"], "image_size"),
    "negative workers": (["--data.num_workers=-1"], "num_workers"),
    "negative seed": (["--data.seed=-3"], "seed"),
    "huge evaluation": (["--data.eval_scale=99"], "eval_scale"),
    "no validation share": (["--data.val_fraction=0"], "val_fraction"),
    "all for validation": (["--data.val_fraction=1.5"], "val_fraction"),
    "erasing too often": (["--data.random_erasing=2"], "random_erasing"),
    "skipping too many": (["--data.max_skipped=7"], "max_skipped"),
    "negative rate": (["--model.learning_rate=-0.1"], "learning_rate"),
    "negative decay": (["--model.weight_decay=-1"], "weight_decay"),
    "layer decay": (["--model.layer_decay=0"], "layer_decay"),
    "momentum": (["--model.momentum=1.5"], "momentum"),
    "negative warm-up": (["--model.warmup_epochs=-1"], "warmup_epochs"),
    "smoothing": (["--model.label_smoothing=1"], "label_smoothing"),
    "negative mixing": (["--model.mixup_alpha=-1"], "mixup_alpha"),
    "unknown optimizer": (["--model.optimizer=adam2"], "optimizer"),
    "unknown network": (["--model.backbone=resnet51"], "Did you mean 'resnet50'?"),
    "unknown timm network": (["--model.backbone=timm/resnet_51"], "resnet_51"),
    "network without classes": (["--model.backbone=raft_large"], "raft_large"),
    "two schedules": (["--unfreezing.patience=1", "--unfreezing.every_n_epochs=1"], "unfreezing"),
    "falling epochs": (["--unfreezing.epochs=[3,2]"], "unfreezing.epochs"),
    "average of nothing": (["--ema.decay=1"], "ema.decay"),
    "resizing": (["--progressive_resizing.start=3"], "progressive_resizing.start"),
    "no interval": (["--checkpoint.every_n_steps=0"], "checkpoint.every_n_steps"),
    "unknown score to keep": (["--checkpoint.monitor=val/f2"], "val/f2"),
    "unknown score to stop": (["--early_stopping.monitor=val/f2"], "val/f2"),
    "negative patience": (["--early_stopping.patience=-1"], "early_stopping.patience"),
    "view of nothing": (["--tta.scales=[0]"], "tta.scales"),
    "no end": (["--trainer.max_epochs=-1"], "max_epochs"),
    "negative end": (["--trainer.max_epochs=-5"], "max_epochs"),
    "preview without end": (["--previews.enabled=true", "--previews.views=100000"], "100000 views"),
    "no interval between validations": (["--trainer.val_check_interval=0"], "val_check_interval"),
    "interval longer than an epoch": (["--trainer.val_check_interval=1000"], "val_check_interval"),
    "nothing to train on": (["--trainer.limit_train_batches=0"], "limit_train_batches"),
    "seed out of range": (["--seed_everything=-1"], "seed_everything"),
    "statistics of two colours": (["--model.pixel_mean=[0.5,0.5]"], "pixel_mean"),
    "infinite rate": (["--model.learning_rate=.inf"], "learning_rate"),
    "no toy cars": (["--data.train_images=0"], "train_images"),
    "evaluation that is too small": (["--data.image_size=32", "--data.eval_scale=0.5"], "eval_scale"),
    "null for a decay": (["--config={files}/null.yaml"], "weight_decay"),
    "no predictions": (["--predictions.top=0"], "predictions.top"),
    "no device": (["--trainer.devices=0"], "devices"),
    "no GPU": (["--trainer.accelerator=gpu"], "gpu"),
    "unknown strategy": (["--trainer.strategy=dpp"], "dpp"),
    "sharding on the CPU": (["--trainer.strategy=fsdp"], "fsdp"),
    "unknown precision": (["--trainer.precision=17"], "precision"),
    "no accumulation": (["--trainer.accumulate_grad_batches=0"], "accumulate_grad_batches"),
    "batches below none": (["--trainer.limit_train_batches=-1"], "limit_train_batches"),
    "gradients clipped below 0": (["--trainer.gradient_clip_val=-1"], "trainer.gradient_clip_val is -1"),
    "validation of no epoch": (["--trainer.check_val_every_n_epoch=0"], "trainer.check_val_every_n_epoch is 0"),
    "means of bytes": (["--model.pixel_mean=[123.7,116.3,103.5]"], "divide it by 255"),
    "deviation of nothing": (["--model.pixel_std=[0,1,1]"], "each number has to be above 0"),
    "preview of nothing": (["--previews.images=0"], "previews.images is 0"),
    "page of less than nothing": (["--report.pictures=-3"], "report.pictures is -3"),
    "fold without folds": (["--data.fold=3"], "data.folds is null"),
}  # fmt: skip
DATA: dict[str, tuple[list[str], str]] = {
    "no folder": ([*FOLDER, "--data.root={files}/nowhere"], "nowhere"),
    "empty folder": ([*FOLDER, "--data.root={files}/empty"], "empty"),
    "text for a folder": ([*FOLDER, "--data.root={files}/text.txt"], "text.txt"),
    "folders without pictures": ([*FOLDER, "--data.root={files}/no_pictures"], "no_pictures"),
    "one class": ([*FOLDER, "--data.root={files}/one"], "class"),
    "one image per class": ([*FOLDER, "--data.root={files}/few"], "1 training image: lower it"),
    "images that are damaged": ([*FOLDER, "--data.root={files}/damaged"], "damaged/train/a"),
    "table with other columns": ([*FOLDER, "--data.root={files}/columns.csv"], "columns.csv"),
    "table of missing files": ([*FOLDER, "--data.root={files}/missing.csv"], "/nowhere/"),
    "table without rows": ([*FOLDER, "--data.root={files}/header.csv"], "header.csv"),
    "table with impossible boxes": ([*FOLDER, "--data.root={files}/boxes.csv", "--data.crop_to_box=true"], "box"),
    "table with unknown splits": ([*FOLDER, "--data.root={files}/split.csv"], "split"),
    "boxes where there are none": ([*FOLDER, "--data.root={files}/pair", "--data.crop_to_box=true"], "box"),
    "list of exclusions that is missing": (
        [*FOLDER, "--data.root={files}/pair", "--data.exclude={files}/no.txt"], "no.txt"
    ),
    "exclusion of what isn't there": (
        [*FOLDER, "--data.root={files}/pair", "--data.exclude={files}/exclude.txt"], "no/such/picture.jpg"
    ),
    "labels out of range": (["--data=datamodules.StanfordCarsDataModule", "--data.root={files}/labels"], "197"),
    "image that may not be read": ([*FOLDER, "--data.root={files}/secret"], "secret/train/a/0.jpg: Permission denied"),
    "no folder of classes": ([*FOLDER, "--data.root={files}/classless"], "no data set was recognised"),
    "download of nothing": (
        ["--data=datamodules.StanfordCarsDataModule", "--data.root={files}/nowhere"], "data.download"
    ),
}  # fmt: skip
WEIGHTS: dict[str, tuple[list[str], str]] = {
    name: ([f"--model.weights={{files}}/{file}"], file)
    for name, file in {
        "missing weights": "none.pth",
        "text for weights": "text.txt",
        "malicious weights": "malicious.pth",
        "list for weights": "list.pth",
        "torn weights": "torn.pth",
        "torn safetensors": "torn.safetensors",
        "weights of another network": "other.pth",
        "weights of another shape": "shape.pth",
        "weights that are no numbers": "nan.pth",
        "safetensors of another network": "other.safetensors",
    }.items()
}
CHECKPOINTS: dict[str, tuple[list[str], str]] = {
    name: ([f"--ckpt_path={{files}}/{file}"], file)
    for name, file in {
        "missing checkpoint": "none.ckpt",
        "empty folder of checkpoints": "empty",
        "text for a checkpoint": "text.txt",
        "malicious checkpoint": "malicious.ckpt",
        "foreign checkpoint": "foreign.ckpt",
        "torn checkpoint": "torn.ckpt",
        "checkpoint of another network": "network.ckpt",
        "checkpoint of other classes": "classes.ckpt",
    }.items()
}
ALL = {**COMMAND_LINE, **VALUES, **DATA, **WEIGHTS, **CHECKPOINTS}


@pytest.fixture
def obeying_permissions() -> Iterator[None]:
    """Take from root the right to read and write where permissions forbid it (capabilities(7): CAP_DAC_*)."""
    kernel = ctypes.CDLL(None)
    version, rights = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    assert kernel.capget(version, rights) == 0
    effective, rights[0] = rights[0], rights[0] & ~(1 << 1 | 1 << 2)
    assert kernel.capset(version, rights) == 0
    yield
    rights[0] = effective
    assert kernel.capset(version, rights) == 0


@pytest.mark.parametrize("case", ALL)
def test_a_mistake_gets_one_sentence(
    mistake: Callable[..., str], files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    obeying_permissions: None, case: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    options, expected = ALL[case]
    before, began = seen(files), time.process_time()
    answer = mistake("fit", *(option.format(files=files) if "{files}" in option else option for option in options))
    assert expected in answer, answer
    assert time.process_time() - began < 10
    assert seen(files) == before
    assert not (tmp_path / "hacked").exists()
    assert "Traceback" not in answer


def test_a_loss_that_is_no_number_stops_the_run_and_names_the_images(
    mistake: Callable[..., str], tmp_path: Path
) -> None:
    poison = [
        "--trainer.callbacks+=tests.support.probes.Poison",
        "--trainer.callbacks.what=loss",
        "--trainer.callbacks.batch=0",
    ]
    answer = mistake("fit", *poison, "--data.batch_size=4")
    assert "The training loss became nan in epoch 0, batch 0 (" in answer
    named = answer.partition("batch 0 (")[2].partition(")")[0].split(", ")
    assert len(set(named)) == 4
    assert all(name.endswith(".jpg") for name in named)
    assert "learning_rate" in answer


@pytest.mark.slow
def test_a_full_disk_leaves_the_checkpoint_before(arguments: list[str], tmp_path: Path) -> None:
    assert outcome(["fit", *arguments]) == 0
    last = tmp_path / "logs/demo/version_0/checkpoints/last.ckpt"
    before = last.read_bytes()
    assert outcome(["fit", *arguments, "--ckpt_path=last", "--trainer.max_epochs=3"], file_size=1_000_000) == 1
    assert last.read_bytes() == before
    assert not list(last.parent.glob(".*"))


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")  # a traceback on the console
@pytest.mark.parametrize("where", ["logs", "logs/demo/version_0/checkpoints", "logs/demo/version_0"])
def test_a_folder_that_can_only_be_read_is_named_and_left_alone(
    run: Callable[..., None], mistake: Callable[..., str], tmp_path: Path, obeying_permissions: None, where: str
) -> None:
    (tmp_path / "logs").mkdir()
    options = ["--trainer.max_epochs=1", "--previews.enabled=false"]
    if "version_0" in where:
        run("fit", *options)
        options = ["--ckpt_path=last", "--trainer.max_epochs=2"]
    before = seen(tmp_path)
    (tmp_path / where).chmod(0o555)
    try:
        answer = mistake("fit", *options)
    finally:
        (tmp_path / where).chmod(0o755)
    assert where in answer
    assert "Permission denied" in answer
    if where != "logs/demo/version_0/checkpoints":  # beside which curves continue
        assert seen(tmp_path) == before
    assert not list((tmp_path / "logs").rglob(".draft*"))


def test_photographs_that_can_only_be_read_are_trained_on(
    run: Callable[..., None], tmp_path: Path, obeying_permissions: None
) -> None:
    root = tmp_path / "photographs"
    for name in ("a", "b"):
        write_pictures(root / name, 20)
    root.chmod(0o555)
    before = seen(root)
    with pytest.warns(UserWarning, match="split.csv .Permission denied"):
        run("fit", *FOLDER, f"--data.root={root}", "--trainer.max_epochs=1")
    assert seen(root) == before


def test_a_folder_that_is_none_is_named(mistake: Callable[..., str], files: Path) -> None:
    assert "text.txt" in mistake("fit", f"--trainer.logger.init_args.save_dir={files / 'text.txt'}")


def test_a_mistake_in_a_loading_process_gets_one_sentence_whatever_the_file_is_called(
    mistake: Callable[..., str], tmp_path: Path
) -> None:
    root = tmp_path / "a$b\nc"
    for name in ("a", "b"):
        write_pictures(root / "train" / name, 10)
        write_pictures(root / "test" / name, 2)
    for file in root.rglob("train/a/*"):
        file.write_bytes(b"")
    answer = mistake("fit", *FOLDER, f"--data.root={root}", "--data.num_workers=1")
    assert answer.startswith(f"train.py: error: Can't decode the image {tmp_path}/a$b c/train/a/")
    assert answer.endswith(": the file is empty.")


@pytest.mark.parametrize(("options", "expected"), [
    (["--data.predict_dir={files}/nowhere"], "nowhere"),
    (["--data.predict_dir={files}/empty"], "empty"),
    ([], "predict_dir"),
])  # fmt: skip
def test_predicting_nothing_says_so(
    run: Callable[..., None], mistake: Callable[..., str], files: Path, options: list[str], expected: str
) -> None:
    run("fit", "--trainer.max_epochs=1")
    assert expected in mistake("predict", "--ckpt_path=last", *(option.format(files=files) for option in options))

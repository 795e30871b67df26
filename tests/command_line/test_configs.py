from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.checkout import CHECKOUT
from train import main

BACKBONES = sorted((CHECKOUT / "configs/backbone").glob("*.yaml"))
BASES = ["demo", "stanford_cars", "own_photos"]
OVERLAYS = sorted(
    path
    for folder in (".", "augmentation", "strategy")
    for path in (CHECKOUT / "configs" / folder).glob("*.yaml")
    if path.stem
    not in (
        "fsdp",
        "gpu",
        "ddp",
        "streaming",
        *BASES,
    )  # need GPUs, a process of their own, converted data
)


def resolved(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    with pytest.raises(SystemExit) as stop:
        main(["fit", *arguments, "--print_config"])
    assert stop.value.code in (0, None)
    config: dict[str, Any] = yaml.safe_load(capsys.readouterr().out)
    return config


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("overlay", BACKBONES, ids=lambda path: path.stem)
def test_a_backbone_brings_its_whole_recipe(overlay: Path, base: str, capsys: pytest.CaptureFixture[str]) -> None:
    # what an overlay leaves out would come from whatever file stands before it: SGD's rate in AdamW, for instance
    written = yaml.safe_load(overlay.read_text())["model"]
    recipe = {"backbone", "weights", "optimizer", "learning_rate", "weight_decay", "warmup_epochs"}
    assert recipe == set(written) - {"cosine_scale"}
    config = resolved(capsys, "--config", str(CHECKOUT / f"configs/{base}.yaml"), "--config", str(overlay))
    assert {key: config["model"][key] for key in written} == written
    assert written["learning_rate"] >= 5e-3 if written["optimizer"] == "sgd" else written["learning_rate"] <= 1e-3


@pytest.mark.parametrize("path", sorted((CHECKOUT / "configs").rglob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_file_resolves_to_what_it_says(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = path.stem in BASES or path.parent.name == "recipes"
    base = [] if whole else ["--config", str(CHECKOUT / "configs/stanford_cars.yaml")]
    config = resolved(capsys, *base, "--config", str(path))

    def check(written: Any, got: Any) -> None:
        if isinstance(written, dict):
            for key, value in written.items():
                check(value, got[key])
        elif isinstance(written, list):
            for mine, theirs in zip(written, got, strict=True):
                check(mine, theirs)
        else:
            assert written == got

    check(yaml.safe_load(path.read_text()), config)
    assert config["trainer"]["use_distributed_sampler"] is False
    assert config["trainer"]["logger"]["init_args"]["default_hp_metric"] is False
    assert config["early_stopping"]["monitor"] == config["checkpoint"]["monitor"] == "val/f1"


@pytest.mark.parametrize("overlay", OVERLAYS, ids=lambda path: path.stem)
def test_overlays_run(run: Callable[..., None], overlay: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run("fit", "--config", str(overlay), "--trainer.fast_dev_run=true", "--data.batch_size=4")
    assert list(tmp_path.iterdir()) == []


def test_the_demo_is_the_default_data(capsys: pytest.CaptureFixture[str]) -> None:
    assert resolved(capsys)["data"]["class_path"] == "datamodules.ToyCarsDataModule"


def test_callbacks_of_a_config_add_to_the_projects_own(run: Callable[..., None], tmp_path: Path) -> None:
    (tmp_path / "extra.yaml").write_text(
        "trainer:\n  callbacks:\n    - class_path: lightning.pytorch.callbacks.DeviceStatsMonitor\n"
    )
    run("fit", "--config", str(tmp_path / "extra.yaml"), "--trainer.max_epochs=1")
    assert (tmp_path / "logs/demo/version_0/checkpoints/best.ckpt").is_file()
    assert (tmp_path / "logs/demo/version_0/fit_scores.json").is_file()


def test_everything_can_be_switched_off(run: Callable[..., None], tmp_path: Path) -> None:
    off = [f"--{name}.enabled=false" for name in ("tta", "confusion_matrix", "predictions", "previews", "scores")]
    run("fit", *off, "--early_stopping.patience=null", "--trainer.max_epochs=1")
    names = {path.name for path in (tmp_path / "logs/demo/version_0").iterdir() if "events" not in path.name}
    assert names == {"config.yaml", "hparams.yaml", "history.jsonl", "checkpoints"}

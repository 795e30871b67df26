"""A run or a checkpoint is all that a command has to be told; options win, each only itself."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torchvision
import yaml

from runs.history import History
from tests.support.short_runs import QUICK, Fit, epoch_of, scores
from train import main

# One argument.


def test_a_run_brings_its_config_and_options_win_each_only_itself(fit: Fit) -> None:
    folder = fit("trial_a", "--model.label_smoothing=0.2", "--data.batch_size=8")
    main(["test", str(folder), "--data.batch_size=4", "--tta.enabled=true"])
    trained, tested = (yaml.safe_load((path / "config.yaml").read_text()) for path in (folder, folder / "test"))
    assert tested["data"]["init_args"].pop("batch_size") == 4
    assert trained["data"]["init_args"].pop("batch_size") == 8
    assert (tested["tta"].pop("enabled"), trained["tta"].pop("enabled")) == (True, False)
    tested["model"].pop("weights"), trained["model"].pop("weights")
    assert {key: tested[key] for key in trained if key in tested} == {key: trained[key] for key in trained}
    assert trained["model"]["label_smoothing"] == 0.2


def test_paths_below_the_working_directory_stay_relative(
    fit: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = fit("trial_a")
    monkeypatch.chdir(tmp_path)
    main(["test", "logs/demo/trial_a"])
    assert scores(folder / "test")["checkpoint"] == "logs/demo/trial_a/checkpoints/best.ckpt"


def test_a_resumed_run_goes_on_with_what_it_was_last_told(fit: Fit) -> None:
    folder = fit("trial_a")
    original = (folder / "config.yaml").read_bytes()
    main(["fit", str(folder), "--trainer.max_epochs=3", "--trainer.limit_train_batches=1"])
    assert (folder / "config.yaml").read_bytes() == original
    assert yaml.safe_load((folder / "resume-config.yaml").read_text())["trainer"]["max_epochs"] == 3
    main(["fit", str(folder)])  # nothing is left to do
    assert epoch_of(folder) == 2
    assert [event.kind for event in History(folder / "history.jsonl").events()] == [
        *("began", "finished", "resumed", "finished", "resumed", "finished")
    ]


def test_a_checkpoint_alone_is_enough(
    fit: Fit, tmp_path: Path, toy_root: Path, toy_set: Path, mistake: Callable[..., str]
) -> None:
    folder = fit("trial_a")
    main(["test", str(folder)])
    file = tmp_path / "machine/mine.ckpt"
    file.parent.mkdir()
    shutil.copy(folder / "checkpoints/best.ckpt", file)
    shutil.rmtree(folder / "checkpoints")
    logs = f"--logs={tmp_path / 'there'}"
    photographs = sorted((toy_set / "cars_test").iterdir())[:3]
    main(["predict", str(file), *map(str, photographs), logs])
    rows = (tmp_path / "there/mine/predict/predictions.csv").read_text().splitlines()
    assert len(rows) == 4
    main(["test", str(file), f"--data.root={toy_root}", logs])
    tested = scores(tmp_path / "there/mine/test")
    assert {**tested, "checkpoint": ""} == {**scores(folder / "test"), "checkpoint": ""}


def test_a_checkpoint_of_a_stranger_names_no_classes_of_strangers(
    fit: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = fit("trial_a")
    content = torch.load(folder / "checkpoints/best.ckpt", weights_only=True)
    content["config"] = content["config"].replace("datamodules.ToyCarsDataModule", "strange.Data")
    torch.save(content, tmp_path / "strange.ckpt")
    (tmp_path / "strange.py").write_text(f"open({str(tmp_path / 'imported')!r}, 'w')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(SystemExit, match=r"names strange\.Data"):
        main(["test", str(tmp_path / "strange.ckpt"), f"--logs={tmp_path}"])
    assert not (tmp_path / "imported").exists()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["nowhere"], "There is no run nowhere"),
        (["configs/demo.yaml"], "write --config configs/demo.yaml"),
        (["docs/figures/toy_cars.jpg"], "is neither a run nor a checkpoint: test takes one of them first"),
        (["{logs}/demo/trial_b"], "Did you mean '{logs}/demo/trial_a'?"),
        (["{logs}/demo"], "it holds the runs {logs}/demo/trial_a"),
        (["{logs}/demo/trial_a", "{logs}/demo/trial_a"], "test takes one run, but there are 2"),
        (["{logs}/demo/trial_a/config.yaml", "--ckpt_path=other.ckpt"], "no such file"),
        (["{logs}/demo/trial_a", "--name=trial_b"], "{logs}/demo/trial_a, and --name is trial_b: leave one of them"),
    ],
)
def test_what_is_no_run_is_named(fit: Fit, tmp_path: Path, words: list[str], expected: str) -> None:
    fit("trial_a")
    logs = str(tmp_path / "logs")
    with pytest.raises(SystemExit) as stop:
        main(["test", *(word.format(logs=logs) for word in words)])
    assert expected.format(logs=logs) in str(stop.value.code)


def test_a_continued_run_keeps_the_weights_that_it_began_from_in_its_config(fit: Fit, tmp_path: Path) -> None:
    weights = tmp_path / "weights.pth"
    torch.save(torchvision.models.squeezenet1_1().state_dict(), weights)
    folder = fit("trial", f"--model.weights={weights}")
    weights.unlink()  # which is needed for a new run alone
    main(["fit", str(folder), "--trainer.max_epochs=2", *QUICK])
    main(["test", str(folder), *QUICK])
    for name in ("config.yaml", "resume-config.yaml", "test/config.yaml"):
        assert yaml.safe_load((folder / name).read_text())["model"]["weights"] == str(weights)
    with pytest.raises(SystemExit, match=r"model\.weights is .*no such file"):
        main(["fit", "--config", str(folder / "resume-config.yaml"), f"--logs={tmp_path / 'new'}"])

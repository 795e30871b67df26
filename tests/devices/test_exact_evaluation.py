"""The same scores, to the last digit, on one device and on several."""

import json
import math
from pathlib import Path

import pytest

from tests.support.processes import run_devices

pytestmark = pytest.mark.slow

REPORTS = ("test_report.csv", "test_confusion_matrix.csv", "predictions.csv")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("trained")


@pytest.fixture
def experiment(arguments: list[str], trained: Path) -> list[str]:
    """Arguments of a run that has been trained, on three devices, once for all tests of this file."""
    options = [
        *arguments, f"--data.root={trained / 'cars'}", "--data.test_images=4",
        "--data.val_fraction=0.165", "--data.batch_size=12", f"--trainer.logger.init_args.save_dir={trained}",
    ]  # fmt: skip
    if not (trained / "demo").exists():
        run_devices(["fit", *options, "--ema.decay=0.9"], 3)
    return options


def scores(run: Path, stage: str) -> dict[str, float]:
    content: dict[str, float] = json.loads((run / f"{stage}_scores.json").read_text())
    return content


def test_validation_inside_fit_is_exact(experiment: list[str], trained: Path) -> None:
    run = trained / "demo/version_0"  # 13 images on 3 devices, in batches of 4
    run_devices(["validate", *experiment, "--ckpt_path=best"], 1)
    fit, alone = scores(run, "fit"), scores(run / "validate", "val")
    names = [name for name in alone if name.startswith("val/")]
    assert len(names) == 7
    assert abs(fit["val/loss"] - math.log(8)) > 1e-4  # the probabilities aren't all the same
    for name in names:
        assert fit[name] == pytest.approx(alone[name], abs=1e-6), name


@pytest.mark.drawn
@pytest.mark.parametrize(("photographs", "counts"), [(27, (1, 2, 3, 4)), (3, (1, 4))])
def test_scores_predictions_and_reports_are_those_of_one_device(
    experiment: list[str], trained: Path, tmp_path: Path, photographs: int, counts: tuple[int, ...]
) -> None:
    folder = next(trained.glob("cars/edition*")) / "cars_test"
    (tmp_path / "photographs").mkdir()
    for file in sorted(folder.iterdir())[:photographs]:
        (tmp_path / "photographs" / file.name).symlink_to(file)
    results = {}
    for devices in counts:
        # the same batch on each device, since a network's rounding depends on the size of the batch
        options = [*experiment, "--ckpt_path=last", f"--data.batch_size={devices}"]
        folder, file = tmp_path / f"test_{devices}", tmp_path / f"predictions_{devices}.csv"
        run_devices(["test", *options, f"--output={folder}", "--report.enabled=true", "--report.pictures=1"], devices)
        predict = ["predict", *options, f"--data.predict_dir={tmp_path / 'photographs'}", f"--output={file}"]
        run_devices(predict, devices)
        results[devices] = scores(folder, "test"), [(folder / name).read_text() for name in REPORTS], file.read_text()
    for devices in counts[1:]:
        assert results[devices] == results[1], devices
    assert len(results[1][2].splitlines()) == 1 + photographs

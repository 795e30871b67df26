import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from callbacks.learning_rate_finder import suggestion, unbiased

pytestmark = pytest.mark.slow


def images_in_tensorboard(run: Path) -> list[str]:
    tags: list[str] = EventAccumulator(str(run)).Reload().Tags()["images"]
    return tags


def test_the_learning_rate_finder_searches_with_what_is_frozen(
    run: Callable[..., None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    finder = ["--lr_finder.enabled=true", "--lr_finder.steps=20", "--unfreezing.epochs=[2]", "--model.layer_decay=0.5"]
    probe = ["--trainer.callbacks+=tests.probes.FrozenAtTheEnd", f"--trainer.callbacks.file={tmp_path / 'frozen'}"]
    for epoch, trained in ((0, ["head"]), (2, ["head", "stage4"])):
        run("fit", *finder, f"--lr_finder.epoch={epoch}", *probe)
        assert (tmp_path / "frozen").read_text().split() == trained
    assert "learning rate" in capsys.readouterr().out
    for version in ("version_0", "version_1"):
        folder = tmp_path / "logs/demo" / version
        assert images_in_tensorboard(folder) == ["learning_rate_finder"]
        assert (folder / "learning_rate_finder.png").is_file()
        assert not (folder / "checkpoints").exists()  # nothing was trained


def test_the_learning_rate_finder_keeps_the_ratios_of_the_groups(run: Callable[..., None], tmp_path: Path) -> None:
    probe = ["--trainer.callbacks+=tests.probes.FrozenAtTheEnd", f"--trainer.callbacks.file={tmp_path / 'frozen'}"]
    finder = ["--lr_finder.enabled=true", "--lr_finder.steps=20", "--model.layer_decay=0.5"]
    run("fit", *finder, *probe)
    rates = [float(line) for line in (tmp_path / "frozen.rates").read_text().split()]
    assert [rate / rates[-1] for rate in rates] == pytest.approx([1 / 16, 1 / 8, 1 / 4, 1 / 2, 1])


def test_a_smoothed_curve_starts_at_the_first_loss() -> None:
    losses, average, recorded = [3.0, 2.9, 2.5, 2.0], 0.0, []
    for step, loss in enumerate(losses):
        average = 0.98 * average + 0.02 * loss
        recorded.append(average / (1 - 0.98 ** (step + 2)))  # as Lightning does
    mended = unbiased(np.array(recorded))
    assert mended[0] == pytest.approx(3.0)
    weights = 0.98 ** np.arange(3, -1, -1)
    assert mended[-1] == pytest.approx(float((weights * losses).sum() / weights.sum()))


def test_the_suggestion_is_a_tenth_of_the_lowest_point() -> None:
    rates = np.logspace(-5, 0, 51)
    losses = 3 + 0.5 * (np.log10(rates) + 1) ** 2  # lowest at 0.1
    assert suggestion(rates, losses) == pytest.approx(0.01)
    assert suggestion(rates, np.linspace(3, 4, 51)) is None
    assert suggestion(rates, np.where(rates > 0.5, np.nan, losses)) == pytest.approx(0.01)


def test_the_batch_size_finder_tries_doublings_with_nothing_frozen(
    run: Callable[..., None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    probe = ["--trainer.callbacks+=tests.probes.FrozenAtTheEnd", f"--trainer.callbacks.file={tmp_path / 'frozen'}"]
    options = ["--batch_size_finder.enabled=true", "--batch_size_finder.smallest=4", "--batch_size_finder.steps=3"]
    run("fit", *options, "--unfreezing.epochs=[]", *probe)  # 64 training images
    printed = capsys.readouterr().out
    sizes = re.findall(r"(\d+): \d+/s", printed)
    assert sizes == ["4", "8", "16", "32"]  # 64 makes one step an epoch, which can't be timed
    assert "suggested: --data.batch_size" in printed
    assert (tmp_path / "frozen").read_text().split() == ["head", "stage1", "stage2", "stage3", "stage4"]
    assert images_in_tensorboard(tmp_path / "logs/demo/version_0") == ["batch_size_finder"]
    assert not (tmp_path / "logs/demo/version_0/checkpoints").exists()

import math
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import numpy.typing as npt
import pytest
from lightning import Trainer
from lightning.fabric.utilities.exceptions import MisconfigurationException

from callbacks import LearningRateFinder
from callbacks.finders.learning_rate_valley import longest_decrease, suggestion, unbiased
from train import main


def files_below(folder: Path) -> list[str]:
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())


@pytest.fixture
def saved(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Where a search has put its own checkpoints."""
    paths: list[Path] = []
    save = Trainer.save_checkpoint

    def note(self: Trainer, filepath: Path, *args: object) -> None:
        paths.append(Path(filepath))
        save(self, filepath, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(Trainer, "save_checkpoint", note)
    return paths


@pytest.mark.slow
def test_the_learning_rate_finder_searches_with_what_is_frozen(
    run: Callable[..., None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    finder = ["--lr_finder.enabled=true", "--lr_finder.steps=20", "--unfreezing.epochs=[2]", "--model.layer_decay=0.5"]
    probe = [
        "--trainer.callbacks+=tests.support.probes.FrozenAtTheEnd",
        f"--trainer.callbacks.file={tmp_path / 'frozen'}",
    ]
    for epoch, trained in ((0, ["head"]), (2, ["head", "stage4"])):
        run("fit", *finder, f"--lr_finder.epoch={epoch}", *probe)
        assert (tmp_path / "frozen").read_text().split() == trained
    assert "give more steps" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("finder", ["lr_finder", "batch_size_finder"])
def test_a_search_is_no_run_and_leaves_one_figure(
    run: Callable[..., None], tmp_path: Path, saved: list[Path], monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str], finder: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    name = {"lr_finder": "learning_rate_finder", "batch_size_finder": "batch_size_finder"}[finder]
    steps = {"lr_finder": 20, "batch_size_finder": 3}[finder]
    options = [f"--{finder}.enabled=true", f"--{finder}.steps={steps}", "--data.batch_size=32"]
    (tmp_path / "logs/demo").mkdir(parents=True)
    mine = tmp_path / f"logs/demo/{name}.png"
    mine.write_text("something else")
    run("fit", *options, "--name=trial")
    assert files_below(tmp_path) == [f"logs/demo/{name}-2.png", f"logs/demo/{name}.png"]
    assert mine.read_text() == "something else"
    assert f"curve: {tmp_path}/logs/demo/{name}-2.png" in capsys.readouterr().out
    assert saved
    assert not [path for path in saved if path.is_relative_to(tmp_path) or path.exists()]
    assert [path.name for path in (tmp_path / "logs/demo").iterdir() if path.is_dir()] == []


def test_a_search_from_a_run_leaves_the_run_as_it_was(run: Callable[..., None], tmp_path: Path) -> None:
    run("fit", "--trainer.max_epochs=1", "--previews.enabled=false")
    folder = tmp_path / "logs/demo/version_0"
    before = {name: (folder / name).read_bytes() for name in files_below(folder)}
    main(["fit", str(folder), "--lr_finder.enabled=true", "--lr_finder.steps=20"])
    assert {name: (folder / name).read_bytes() for name in files_below(folder)} == before
    assert (folder.parent / "learning_rate_finder.png").is_file()


@pytest.mark.parametrize(
    ("options", "answer"),
    [
        (["--lr_finder.epoch=-1"], "lr_finder.epoch is -1: epochs are counted from 0"),
        (["--lr_finder.epoch=2", "--unfreezing.patience=1"], "with unfreezing.patience it isn't known what is frozen"),
        (["--model.pixel_mean=[.nan, 0.5, 0.5]"], "normalize.mean is NaN or infinite after step 0"),
    ],
)
def test_a_search_that_can_find_nothing_says_why(
    mistake: Callable[..., str], tmp_path: Path, options: list[str], answer: str
) -> None:
    assert answer in mistake("fit", "--lr_finder.enabled=true", *options)
    assert not (tmp_path / "logs").exists()


def test_a_loss_that_is_never_finite_suggests_nothing() -> None:
    finder = LearningRateFinder()
    results = {"lr": [1e-6, 1e-5], "loss": [math.nan, math.nan]}
    finder.optimal_lr = SimpleNamespace(results=results)  # type: ignore[assignment]
    with pytest.raises(MisconfigurationException, match="The training loss is nan from the lowest learning rate on"):
        finder._report(Trainer(logger=False))


@pytest.mark.slow
def test_the_learning_rate_finder_keeps_the_ratios_of_the_groups(run: Callable[..., None], tmp_path: Path) -> None:
    probe = [
        "--trainer.callbacks+=tests.support.probes.FrozenAtTheEnd",
        f"--trainer.callbacks.file={tmp_path / 'frozen'}",
    ]
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


def averages(losses: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Smooth as the finder's curve is smoothed, by its formula."""
    weights = 0.98 ** np.maximum(np.arange(len(losses))[:, None] - np.arange(len(losses)), 0)
    weights = np.tril(weights)
    return np.asarray((weights * losses).sum(axis=1) / weights.sum(axis=1))


def test_the_longest_decrease_is_that_of_an_exhaustive_search() -> None:
    generator = np.random.default_rng(0)
    for size in (1, 2, 5, 9):
        for _ in range(20):
            values = generator.integers(0, 6, size).astype(float)
            subsets = ([k for k in range(size) if bits >> k & 1] for bits in range(1, 2**size))
            falling = [kept for kept in subsets if all(np.diff(values[kept]) < 0)]
            longest = max(map(len, falling))
            ends = [(kept[0], kept[-1], longest) for kept in falling if len(kept) == longest]
            assert longest_decrease(values) in ends
            assert longest_decrease(values)[1] == min(last for _, last, _ in ends)


def test_the_suggestion_of_a_smooth_valley_is_its_middle() -> None:
    rates = np.logspace(-6, 0, 100)
    losses = np.where(np.arange(100) <= 80, np.linspace(3, 1, 100), 9.0)
    assert suggestion(rates, losses) == rates[80 - 71 // 2]  # it begins behind the first tenth


@pytest.mark.parametrize("steps", [50, 100, 300])
def test_the_suggestion_lies_in_the_valley(steps: int) -> None:
    rates = np.logspace(-6, 0, steps)
    curve = 2 - 1.2 / (1 + (3e-3 / rates) ** 1.2) + np.maximum(0, 5 * np.log10(rates / 0.1))  # diverges above 0.1
    for seed in range(20):
        losses = averages(curve + np.random.default_rng(seed).normal(0, 0.1, steps))
        rate = suggestion(rates, losses)
        assert rate in rates
        assert rate is not None
        assert 1e-4 < rate < 0.1
        assert suggestion(rates, np.where(rates > 0.3, np.nan, losses)) is not None


@pytest.mark.parametrize("steps", [20, 50, 100, 300])
def test_noise_suggests_nothing(steps: int) -> None:
    rates = np.logspace(-6, 0, steps)
    flat = [averages(np.random.default_rng(seed).normal(2, 0.2, steps)) for seed in range(100)]
    assert sum(suggestion(rates, losses) is not None for losses in flat) <= 5
    assert suggestion(rates, np.linspace(3, 4, steps)) is None
    assert suggestion(rates, np.full(steps, np.nan)) is None


@pytest.mark.slow
def test_the_batch_size_finder_tries_doublings_with_nothing_frozen(
    run: Callable[..., None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    probe = [
        "--trainer.callbacks+=tests.support.probes.FrozenAtTheEnd",
        f"--trainer.callbacks.file={tmp_path / 'frozen'}",
    ]
    options = ["--batch_size_finder.enabled=true", "--batch_size_finder.smallest=4", "--batch_size_finder.steps=3"]
    run("fit", *options, "--unfreezing.epochs=[]", *probe)  # 64 training images
    printed = capsys.readouterr().out
    sizes = re.findall(r"(\d+): \d+/s", printed)
    assert sizes == ["4", "8", "16", "32"]  # 64 makes one step an epoch, which can't be timed
    assert "suggested: --data.batch_size" in printed
    assert (tmp_path / "frozen").read_text().split() == ["head", "stage1", "stage2", "stage3", "stage4"]

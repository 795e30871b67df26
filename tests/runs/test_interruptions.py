import gc
import random
import signal
import weakref
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from callbacks.saving.stop_signals import StopSignals
from lightning_modules import ImageClassifier
from runs.run import Run
from tests.runs.test_resume import assert_same
from tests.support.interruptions import interrupted
from tests.support.processes import TIMEOUT, outcome, run_devices, start, start_devices
from tests.support.run_files import tensorboard_curves

pytestmark = pytest.mark.slow

EVERYTHING = [  # a batch-norm network, and everything that is random or has a state; 9 batches, 5 steps an epoch
    "--model.backbone=mobilenet_v3_small", "--data.batch_size=10", "--data.num_workers=1", "--data.image_size=32",
    "--data.train_images=15", "--trainer.max_epochs=3", "--trainer.accumulate_grad_batches=2",
    "--unfreezing.patience=1", "--unfreezing.min_delta=2", "--ema.decay=0.9", "--model.mixup_alpha=0.4",
    "--data.random_erasing=0.5", "--data.balanced_sampling=true", "--progressive_resizing.start=0.5",
    "--progressive_resizing.multiple=8", "--checkpoint.every_n_steps=2", "--previews.enabled=false",
]  # fmt: skip
Command = Callable[..., list[str]]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("interruptions")


@pytest.fixture
def command(arguments: list[str], root: Path) -> Command:
    def build(experiment: str, *extra: str) -> list[str]:
        data = f"--data.root={root / 'toy_cars'}"
        return ["fit", *arguments, *EVERYTHING, data, f"--trainer.logger.init_args.name={experiment}", *extra]

    return build


@pytest.fixture
def whole(command: Command, root: Path) -> Path:
    """Train without interruption, once for all tests."""
    run = root / "whole/version_0"
    if not run.exists():
        assert outcome(command("whole", f"--trainer.logger.init_args.save_dir={root}")) == 0
    return run


def assert_same_runs(whole: Path, torn: Path) -> None:
    """Compare two runs: weights, averages, optimizer, schedules, callbacks, counters, curves and scores."""
    for name in ("last.ckpt", "best.ckpt"):
        mine, theirs = (torch.load(run / "checkpoints" / name, weights_only=True) for run in (whole, torn))
        for key in mine.keys() - {"callbacks", "hyper_parameters", "config"}:
            assert_same(mine[key], theirs[key])
        for key, state in mine["callbacks"].items():
            if "Checkpoint" not in key:  # names files
                assert_same(state, theirs["callbacks"][key])
    assert tensorboard_curves(whole) == tensorboard_curves(torn)
    assert not list(torn.glob("checkpoints/.draft*"))


@pytest.mark.parametrize(
    ("moment", "count"),
    [
        ("writing", 0),  # of the very first checkpoint
        ("batch", 7),
        ("step", 3),
        ("validation", 2),
        ("writing", 4),
        ("renaming", 2),
        ("scores", 1),
    ],
)
def test_a_killed_run_goes_on_as_if_nothing_had_happened(
    whole: Path, command: Command, tmp_path: Path, moment: str, count: int
) -> None:
    assert outcome(command("torn", "--ckpt_path=last", *interrupted(moment, count))) == -signal.SIGKILL
    assert outcome(command("torn", "--ckpt_path=last")) == 0
    assert_same_runs(whole, tmp_path / "logs/torn/version_0")


def test_a_run_survives_being_killed_again_and_again(whole: Path, command: Command, tmp_path: Path) -> None:
    moments, killed = random.Random(5), 0  # noqa: S311 - no secret
    while True:
        process = start(command("torn", "--ckpt_path=last"))
        process.join(moments.uniform(0.5, 1.0) + killed / 10)
        if process.exitcode is not None:
            break
        process.kill()
        process.join()
        killed += 1
    assert killed > 2
    assert process.exitcode == 0
    runs = (tmp_path / "logs/torn").iterdir()  # what is killed before it has saved anything is begun anew
    assert_same_runs(whole, max(runs, key=lambda folder: int(folder.name.removeprefix("version_"))))


@pytest.mark.parametrize(("moment", "number"), [("batch", signal.SIGTERM), ("validation", signal.SIGINT)])
def test_a_signal_saves_and_stops(
    whole: Path, command: Command, tmp_path: Path, moment: str, number: signal.Signals
) -> None:
    rarely = ["--checkpoint.every_n_steps=1000"]
    code = outcome(command("torn", *rarely, *interrupted(moment, 3, number)))
    assert code == 128 + number
    checkpoint = torch.load(tmp_path / "logs/torn/version_0/checkpoints/last.ckpt", weights_only=True)
    assert checkpoint["global_step"] == (2 if moment == "batch" else 10)
    assert outcome(command("torn", *rarely, "--ckpt_path=last")) == 0
    assert_same_runs(whole, tmp_path / "logs/torn/version_0")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
def test_a_signal_to_all_processes_saves_and_stops(
    whole: Path, command: Command, tmp_path: Path, number: signal.Signals
) -> None:
    workers = "--trainer.callbacks.workers=true"
    assert outcome(command("torn", *interrupted("batch", 3, number), workers)) == 128 + number
    assert outcome(command("torn", "--ckpt_path=last")) == 0
    assert_same_runs(whole, tmp_path / "logs/torn/version_0")


def test_a_run_ended_by_an_error_goes_on_from_its_last_save(whole: Path, command: Command, tmp_path: Path) -> None:
    failure = ["--trainer.callbacks+=tests.support.interruptions.Failure", "--trainer.callbacks.count=16"]
    assert outcome(command("torn", *failure)) == 1  # in step 9, the fourth of the second epoch; step 8 is lost
    last = tmp_path / "logs/torn/version_0/checkpoints/last.ckpt"
    assert torch.load(last, weights_only=True)["global_step"] == 7
    assert outcome(command("torn", "--ckpt_path=last")) == 0
    assert_same_runs(whole, tmp_path / "logs/torn/version_0")


@pytest.mark.parametrize("damage", ["truncated", "flipped", "missing"])
def test_a_damaged_last_checkpoint_gives_way_to_the_one_before(
    whole: Path, command: Command, tmp_path: Path, damage: str
) -> None:
    torn = tmp_path / "logs/torn/version_0"
    assert outcome(command("torn", *interrupted("batch", 13))) == -signal.SIGKILL
    last = torn / "checkpoints/last.ckpt"
    content = bytearray(last.read_bytes())
    if damage == "truncated":
        last.write_bytes(content[: len(content) // 2])
    elif damage == "flipped":
        content[len(content) // 2] ^= 1
        last.write_bytes(content)
    else:
        last.unlink()
    with pytest.warns(UserWarning, match=f"{'missing' if damage == 'missing' else 'damaged'}: going on from"):
        assert Run(torn).checkpoint("last").name == "previous.ckpt"
    assert outcome(command("torn", "--ckpt_path=last")) == 0
    assert_same_runs(whole, torn)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_devices_stop_together_and_go_on_together(
    command: Command, root: Path, tmp_path: Path, number: signal.Signals
) -> None:
    if not (root / "two").exists():
        run_devices(command("two", f"--trainer.logger.init_args.save_dir={root}"), 2)
    processes = start_devices(command("torn", *interrupted("batch", 4, number, rank=1)), 2)
    processes[1].join(TIMEOUT)
    if number == signal.SIGKILL:
        processes[0].kill()  # as torchrun does when a device is lost
    processes[0].join(TIMEOUT)
    assert processes[1].exitcode == (143 if number == signal.SIGTERM else -9)
    assert processes[0].exitcode == processes[1].exitcode
    run_devices(command("torn", "--ckpt_path=last"), 2)
    assert_same_runs(root / "two/version_0", tmp_path / "logs/torn/version_0")


def test_a_run_leaves_neither_itself_nor_its_signal_handlers_behind(
    run: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
    before = [signal.getsignal(number) for number in numbers]
    built: list[weakref.ref[ImageClassifier]] = []
    monkeypatch.setattr(ImageClassifier, "on_fit_start", lambda self: built.append(weakref.ref(self)), raising=False)
    for _ in range(2):
        run("fit", "--trainer.max_epochs=1", "--trainer.limit_train_batches=1", "--previews.enabled=false")
    gc.collect()
    assert [signal.getsignal(number) for number in numbers] == before
    assert built[0]() is None  # jsonargparse holds the last parser, and with it the last model


def test_handlers_are_installed_anew_after_others_have_replaced_them() -> None:
    signals, before = StopSignals(), signal.getsignal(signal.SIGUSR1)
    interrupt = signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
    try:
        for _ in range(2):
            signals.install()
            assert signals.received is None
            signal.raise_signal(signal.SIGUSR1)
            assert signals.received == signal.SIGUSR1
            for number in (signal.SIGTERM, signal.SIGUSR1):  # as Lightning after a run
                signal.signal(number, signal.SIG_DFL)
        signals.remove()
        assert signal.getsignal(signal.SIGINT) == signal.default_int_handler
        assert signal.getsignal(signal.SIGUSR1) == signal.SIG_DFL
    finally:
        signal.signal(signal.SIGUSR1, before)
        signal.signal(signal.SIGINT, interrupt)

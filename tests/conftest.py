"""Fixtures of all tests: no network, no window, a tiny set of drawn cars."""

import json
import os
import shutil
import socket
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tests.support.checkout import CHECKOUT

# sums are rounded by the number of threads, and processes share the cores already; to be set before torch is imported
os.environ["OMP_NUM_THREADS"] = "1"

import matplotlib as mpl
import pytest
from hypothesis import HealthCheck, settings
from torch import distributed

from datamodules import ToyCarsDataModule
from datamodules.layouts import recognise_layout
from datamodules.layouts.annotation_files import write_samples
from train import main

mpl.use("agg")
_FUZZING: dict[str, Any] = {"deadline": None, "suppress_health_check": list(HealthCheck), "database": None}
settings.register_profile("bounded", max_examples=200, derandomize=True, **_FUZZING)
settings.register_profile("thorough", max_examples=20_000, print_blob=True, **_FUZZING)
settings.load_profile("bounded")

TINY: dict[str, Any] = {
    "train_images": 10,
    "test_images": 5,
    "val_fraction": 0.2,
    "image_size": 64,
    "batch_size": 16,
    "num_workers": 0,
}


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say what was left out, beside what was skipped."""
    if "not heavy" in config.option.markexpr:
        terminalreporter.write_line(
            "Left out: the tests that start servers or several machines (object storage, SLURM, PostgreSQL, torchrun), "
            "which make heavy runs."
        )


@pytest.fixture(autouse=True, scope="session")
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    os.environ["MPLCONFIGDIR"] = mpl.get_cachedir()  # else each process that draws would look for all fonts
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    connect = socket.socket.connect

    def local_only(self: socket.socket, address: Any) -> None:
        if self.family != socket.AF_UNIX and address[0] not in ("127.0.0.1", "::1", "localhost"):
            raise AssertionError(f"a test tried to reach {address}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", local_only)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Keep from the next test what a run sets, as its seed or its devices, and pytest's arguments from Lightning."""
    monkeypatch.setattr(sys, "argv", ["train.py"])
    before = {**os.environ}
    os.environ.pop("PL_GLOBAL_SEED", None)
    with warnings.catch_warnings():
        yield
    for name in os.environ.keys() - before.keys():
        del os.environ[name]
    os.environ.update(before)
    if distributed.is_initialized():
        distributed.destroy_process_group()


@pytest.fixture(autouse=True)
def served_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start the trainings that commands of this process start without the seconds of all imports.

    Commands that tests start as they are typed start theirs as users' do.
    """

    def start(command: Sequence[str]) -> Any:
        from tests.support.processes import ServedCommand

        return ServedCommand(command)

    monkeypatch.setattr("command_line.trainings.member_runs.subprocess", SimpleNamespace(Popen=start))


@pytest.fixture(scope="session")
def toy_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("toy_cars")
    ToyCarsDataModule(root=str(root), **TINY).prepare_data()
    return root


@pytest.fixture(scope="session")
def toy_set(toy_root: Path) -> Path:
    """The folder of the tiny set in ``toy_root``, beside which tests may draw others."""
    return ToyCarsDataModule(root=str(toy_root), **TINY).folder


@pytest.fixture
def toy_data(toy_root: Path) -> Callable[..., ToyCarsDataModule]:
    def build(**options: Any) -> ToyCarsDataModule:
        return ToyCarsDataModule(**{"root": str(toy_root), **TINY, **options})

    return build


@pytest.fixture
def stanford_cars_root() -> Path:
    root = os.environ.get("STANFORD_CARS_ROOT")
    if not root:
        pytest.skip("STANFORD_CARS_ROOT is not set")
    return Path(root)


@pytest.fixture
def official_copy() -> Callable[..., Path]:
    """Lay the official annotations out without pictures, perhaps with the labels of two training rows exchanged."""
    source = os.environ.get("OFFICIAL_ANNOTATIONS")
    if not source:
        pytest.skip("OFFICIAL_ANNOTATIONS is not set")

    def build(root: Path, swap: tuple[int, int] | None = None) -> Path:
        shutil.copytree(source, root)
        for name in ("cars_train", "cars_test"):
            (root / name).mkdir()
        if swap:
            samples = recognise_layout(root).read("train")
            assert samples.labels is not None
            samples.labels[list(swap)] = samples.labels[list(swap[::-1])]
            write_samples(root, "train", samples)
        return root

    return build


@pytest.fixture
def weights_dir() -> Path:
    folder = os.environ.get("CARSPOTTER_WEIGHTS")
    if not folder:
        pytest.skip("CARSPOTTER_WEIGHTS is not set")
    return Path(folder)


@pytest.fixture
def arguments(toy_root: Path, tmp_path: Path, request: pytest.FixtureRequest) -> list[str]:
    """Arguments of a run on the tiny set with a tiny network, which draws nothing but for tests marked ``drawn``."""
    drawn = request.node.get_closest_marker("drawn") is not None
    return [
        "--config", str(CHECKOUT / "configs/demo.yaml"),
        *(f"--data.{name}={value}" for name, value in TINY.items()),
        f"--data.root={toy_root}",
        "--data.train_transforms=null",
        "--model.backbone=squeezenet1_1",
        "--model.learning_rate=0.0005",
        "--model.warmup_epochs=0",
        "--trainer.max_epochs=2",
        "--trainer.log_every_n_steps=1",
        "--trainer.enable_progress_bar=false",
        "--trainer.enable_model_summary=false",
        f"--confusion_matrix.enabled={str(drawn).lower()}",
        *(["--previews.images=1", "--previews.views=1"] if drawn else ["--previews.enabled=false"]),
        "--data_wait.enabled=false",  # a time, which no two runs have in common
        "--report.enabled=false",  # which takes longer than all else of a short evaluation
        f"--trainer.logger.init_args.save_dir={tmp_path / 'logs'}",
    ]  # fmt: skip


@pytest.fixture
def run(arguments: list[str]) -> Callable[..., None]:
    """Call the command line in this process: ``run("fit", "--tta.enabled=false")``."""

    def call(subcommand: str, *extra: str) -> None:
        main([subcommand, *arguments, *extra])

    return call


@pytest.fixture
def scores_of(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Read the newest scores of the first run: ``scores_of("test_scores.json")``."""

    def read(name: str) -> dict[str, Any]:
        found = (tmp_path / "logs/demo/version_0").rglob(name)
        newest = max(found, key=lambda path: path.stat().st_mtime_ns)
        scores: dict[str, Any] = json.loads(newest.read_text())
        return scores

    return read


@pytest.fixture
def mistake(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Call the command line with a mistake in it, and return the one line that it answers with."""

    def call(subcommand: str, *extra: str) -> str:
        with pytest.raises(SystemExit) as stop:
            main([subcommand, *arguments, *extra])
        if isinstance(stop.value.code, str):  # printed by the interpreter as it exits with code 1
            answer = stop.value.code
        else:
            assert stop.value.code == 2
            answer = capsys.readouterr().err.strip().splitlines()[-1]
        assert "\n" not in answer
        assert answer.startswith("train.py: error: ")
        return answer

    return call

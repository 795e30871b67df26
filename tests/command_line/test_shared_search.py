"""A search on several machines through a database, with a real PostgreSQL."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from command_line.sweeping import database
from command_line.sweeping.search import Search
from command_line.sweeping.space import read_space
from tests.support.processes import ServedCommand, forked, free_port
from tests.support.searches import CONFIG, command, scripted, space
from train import main

__all__ = ["space"]

pytestmark = [pytest.mark.slow, pytest.mark.heavy]


def program(name: str) -> str:
    places = [str(place) for place in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)]
    found = shutil.which(name, path=os.pathsep.join([*places, os.environ["PATH"]]))
    if found is None:
        pytest.skip("PostgreSQL isn't installed (apt install postgresql)")
    return str(Path(found).resolve())


@pytest.fixture(scope="module")
def postgresql() -> Iterator[str]:
    """Start a server, which refuses to run as root, on a port of its own."""
    psycopg = pytest.importorskip("psycopg")
    initdb, postgres = program("initdb"), program("postgres")
    user = "postgres" if os.getuid() == 0 else None
    folder, port = Path(tempfile.mkdtemp(prefix="postgresql-")), free_port()
    if user:
        shutil.chown(folder, user)
    options: dict[str, Any] = {"user": user, "cwd": folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run([initdb, "-D", "data", "-U", "cars", "--auth=trust", "--no-sync"], check=True, **options)
    settings = ["-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={folder}", "-c", "fsync=off"]
    server = subprocess.Popen([postgres, "-D", "data", "-p", str(port), *settings], **options)
    try:
        end = time.monotonic() + 60
        while True:
            try:
                psycopg.connect(host="127.0.0.1", port=port, user="cars", dbname="postgres").close()
                break
            except psycopg.OperationalError:
                assert server.poll() is None
                assert time.monotonic() < end
                time.sleep(0.1)
        yield f"postgresql+psycopg://cars@127.0.0.1:{port}/postgres"
    finally:
        server.send_signal(signal.SIGQUIT)
        server.wait()
        shutil.rmtree(folder, ignore_errors=True)


def take_and_die(output: Path, space: Path, url: str) -> None:
    search = Search(CONFIG, [], read_space(space), True, output, url)
    trial = search.take(3)
    assert trial is not None
    (output / "taken").write_text(f"{search.run_of(trial).name} {trial.params}")
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_trial_whose_machine_is_lost_is_taken_up_by_another(
    postgresql: str, space: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("command_line.sweeping.search.train_trial", scripted(lambda _: [1.0]))
    monkeypatch.setattr(database, "_GRACE", 2)
    output = tmp_path / "lost"
    output.mkdir()
    mine = Search(CONFIG, [], read_space(space), True, output, postgresql)
    first = mine.take(3)
    assert first is not None
    lost = forked(take_and_die, output, space, postgresql)
    lost.join()
    name, params = (output / "taken").read_text().split(" ", 1)
    assert (mine.run_of(first).name, name) == ("trial-1", "trial-2")
    mine.train(first)
    time.sleep(3)
    again = mine.take(3)
    assert again is not None
    assert (mine.run_of(again).name, str(again.params)) == (name, params)
    mine.train(again)
    third = mine.take(3)
    assert third is not None
    mine.train(third)
    assert mine.take(3) is None
    assert [trial.state.name for trial in mine.trials()] == ["COMPLETE"] * 3


def test_commands_share_a_search(postgresql: str, toy_root: Path, space: Path, tmp_path: Path) -> None:
    output = tmp_path / "shared"
    typed = command(toy_root, space, output, "--trials=3", f"--storage={postgresql}")
    both = [ServedCommand([sys.executable, "train.py", *typed]) for _ in range(2)]
    assert [process.wait(240) for process in both] == [0, 0]
    lines = (output / "trials.csv").read_text().splitlines()
    assert 3 <= len(lines) - 1 <= 4  # both may begin a last one
    assert all(",finished," in line or ",pruned," in line for line in lines[1:])
    assert (output / "best.yaml").is_file()
    assert not (output / "study.db").exists()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("postgresql+psycopg://cars:secret@127.0.0.1/postgres", "--storage holds a password"),
        ("postgresql+psycopg://cars@127.0.0.1:9/postgres", "The database of --storage doesn't answer"),
        ("nothing://cars", r"write postgresql\+psycopg://USER@HOST/DATABASE"),
        ("nothing", r"write postgresql\+psycopg://USER@HOST/DATABASE"),
    ],
)
def test_what_is_wrong_with_a_database_is_one_sentence(
    url: str, message: str, toy_root: Path, space: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match=message) as stop:
        main(command(toy_root, space, tmp_path / "sweep", f"--storage={url}"))
    assert "secret" not in f"{stop.value.code}{capfd.readouterr()}"

"""Runs in object storage: trained, continued, tested, listed and compared there, from any machine."""

import io
import json
import os
import re
import shutil
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml

import carspotter
from runs.curves import read_curve
from tests.datamodules.test_object_storage import SECRET, server
from tests.runs.test_resume import assert_same
from tests.support.processes import free_port, outcome, run_devices, start
from tests.support.storage_server import StorageServer
from train import main

__all__ = ["server"]

pytestmark = [pytest.mark.slow, pytest.mark.heavy]

RUN = "s3://cars/logs/demo"
COPY = "carspotter/runs/s3/cars/logs/demo/two/checkpoints/last.ckpt"
SHARDED = ["--config=configs/strategy/fsdp.yaml", "--trainer.accelerator=cpu", "--trainer.devices=1"]


@pytest.fixture
def options(arguments: list[str]) -> list[str]:
    return [option for option in arguments if "save_dir" not in option]


@pytest.fixture
def other_machine(tmp_path: Path) -> Callable[[], None]:
    """Forget all that this machine keeps."""
    return lambda: shutil.rmtree(tmp_path / "cache", ignore_errors=True)


def objects(server: StorageServer, prefix: str) -> dict[str, bytes]:
    client = server.client()
    keys = [item["Key"] for item in client.list_objects_v2(Bucket="cars", Prefix=prefix).get("Contents", [])]
    return {key[len(prefix) :]: client.get_object(Bucket="cars", Key=key)["Body"].read() for key in keys}


def test_a_run_is_trained_tested_listed_compared_and_continued_there(
    server: StorageServer,
    options: list[str],
    other_machine: Callable[[], None],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    server.put_fault = lambda number: 503 if number % 4 == 0 else 0  # which are tried again
    main(["fit", *options, "--logs=s3://cars/logs", "--report.enabled=true"])
    out = capfd.readouterr().out
    assert f"next: python train.py test {RUN}/version_0" in out or f"carspotter test {RUN}/version_0" in out
    kept = objects(server, "logs/demo/version_0/")
    assert {
        "checkpoints/best.ckpt",
        "checkpoints/last.ckpt",
        "config.yaml",
        "history.jsonl",
        "fit_scores.json",
    } <= kept.keys()
    assert any("tfevents" in name for name in kept)
    assert yaml.safe_load(kept["config.yaml"])["logs"] == "s3://cars/logs"
    assert not [name for name in kept if "/." in f"/{name}" or "previous" in name]
    other_machine()
    main(["test", f"{RUN}/version_0", "--report.enabled=true"])
    main(["fit", *options, "--logs=s3://cars/logs", "--model.learning_rate=0.001"])
    assert {name.partition("/")[0] for name in objects(server, "logs/demo/")} == {"version_0", "version_1"}
    other_machine()
    main(["test", f"{RUN}/version_1/checkpoints/best.ckpt", "--report.enabled=true"])
    other_machine()
    capfd.readouterr()
    main(["runs", "s3://cars/logs"])
    out = capfd.readouterr().out
    assert "demo/version_0" in out
    assert "demo/version_1" in out
    assert not any("ckpt" in path for path in server.asked[-20:])
    main(["compare", f"{RUN}/version_0", f"{RUN}/version_1"])
    assert (tmp_path / "comparison/comparison.html").is_file()
    other_machine()
    picture = torch.zeros(3, 40, 50, dtype=torch.uint8)
    answers = [carspotter.load(f"{RUN}/version_0{more}").classify(picture) for more in ("", "/checkpoints/best.ckpt")]
    assert answers[0] == answers[1]
    main(["fit", f"{RUN}/version_0", "--trainer.max_epochs=3"])
    history = objects(server, "logs/demo/version_0/")["history.jsonl"].decode().splitlines()
    assert [json.loads(line)["event"] for line in history] == ["began", "finished", "resumed", "finished"]
    text = b"".join(content for content in objects(server, "logs/").values())
    assert SECRET.encode() not in text
    assert not (tmp_path / "s3:").exists()


def test_a_training_whose_machine_is_lost_goes_on_on_another_and_ends_as_one_that_was_not(
    server: StorageServer, options: list[str], other_machine: Callable[[], None], tmp_path: Path
) -> None:
    options = [*options, "--trainer.max_epochs=16", "--early_stopping.patience=null"]
    options += ["--confusion_matrix.enabled=false"]
    again_and_again = ["fit", *options, "--logs=s3://cars/logs", "--name=one", "--ckpt_path=last"]
    lost = start(again_and_again)
    end = time.monotonic() + 100
    while "checkpoints/last.ckpt" not in objects(server, "logs/demo/one/"):
        assert lost.is_alive()
        assert time.monotonic() < end
        time.sleep(0.1)
    assert lost.pid is not None
    os.kill(lost.pid, signal.SIGKILL)
    lost.join()
    other_machine()
    assert outcome(again_and_again) == 0
    kept = objects(server, "logs/demo/one/")
    events = [json.loads(line) for line in kept["history.jsonl"].decode().splitlines()]
    assert [event["event"] for event in events] == ["began", "resumed", "finished"]

    assert outcome(["fit", *options, f"--logs={tmp_path / 'logs'}", "--name=one"]) == 0
    mine, theirs = (
        torch.load(io.BytesIO(content), weights_only=False)
        for content in (kept["checkpoints/last.ckpt"], (tmp_path / "logs/demo/one/checkpoints/last.ckpt").read_bytes())
    )
    assert_same(mine["state_dict"], theirs["state_dict"])
    assert_same(mine["optimizer_states"], theirs["optimizer_states"])
    curves = [
        read_curve(folder, "val/loss")
        for folder in (tmp_path / "cache/carspotter/runs/s3/cars/logs/demo/one", tmp_path / "logs/demo/one")
    ]
    assert curves[0] == curves[1]
    assert len(curves[0]) == 16


def test_the_newest_run_goes_on_and_the_one_begun_from_stays_as_it_is(
    server: StorageServer, options: list[str], other_machine: Callable[[], None]
) -> None:
    """Lightning finds no ``last`` in object storage (#18261), and removes the checkpoint begun from (#21813)."""
    options = [*options, "--logs=s3://cars/logs", "--confusion_matrix.enabled=false"]
    main(["fit", *options, "--name=first"])
    before = objects(server, "logs/demo/first/")
    other_machine()
    main(["fit", *options, "--ckpt_path=last", "--trainer.max_epochs=3"])
    after = objects(server, "logs/demo/first/")
    assert [json.loads(line)["event"] for line in after["history.jsonl"].decode().splitlines()] == [
        *("began", "finished", "resumed", "finished")
    ]
    assert after["config.yaml"] == before["config.yaml"]
    other_machine()
    main(["fit", *options, f"--ckpt_path={RUN}/first", "--name=second", "--trainer.max_epochs=4"])
    assert objects(server, "logs/demo/first/") == after
    assert "checkpoints/last.ckpt" in objects(server, "logs/demo/second/")
    other_machine()
    main(["test", *options, "--name=second"])
    assert "test/test_scores.json" in objects(server, "logs/demo/second/")
    other_machine()
    with pytest.raises(
        SystemExit, match=r"s3://cars/logs/demo/first exists already: \S+ fit s3://cars/logs/demo/first"
    ):
        main(["fit", *options, "--name=first"])
    assert objects(server, "logs/demo/first/") == after


def test_a_run_teaches_another_one_from_there(
    server: StorageServer, options: list[str], other_machine: Callable[[], None], tmp_path: Path
) -> None:
    options = [*options, "--logs=s3://cars/logs", "--confusion_matrix.enabled=false", "--trainer.max_epochs=1"]
    main(["fit", *options, "--name=teacher"])
    other_machine()
    main(["fit", *options, "--name=student", f"--distillation.teacher={RUN}/teacher"])
    config = yaml.safe_load(objects(server, "logs/demo/student/")["config.yaml"])
    assert config["distillation"]["teacher"] == f"{RUN}/teacher"
    other_machine()
    main(["test", f"{RUN}/student"])
    assert not (tmp_path / "cache/carspotter/runs/s3/cars/logs/demo/teacher").exists()  # which a test doesn't need


def test_a_storage_that_is_away_loses_nothing(
    server: StorageServer,
    options: list[str],
    other_machine: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr("datamodules.remote.storage._PATIENCE", 0.3)
    for pause in ("_FIRST", "_EVERY"):
        monkeypatch.setattr(f"command_line.remote_runs.uploads.{pause}", 0.05)
    options = [*options, "--logs=s3://cars/logs", "--name=one", "--confusion_matrix.enabled=false"]
    here = tmp_path / "cache/carspotter/runs/s3/cars/logs/demo/one"

    ended = threading.Event()

    def leave() -> None:
        while not (here / "config.yaml").exists() and not ended.wait(0.01):
            pass
        server.stop()

    away = threading.Thread(target=leave)
    away.start()
    try:
        with pytest.warns(UserWarning, match="Training goes on"), pytest.raises(SystemExit) as stop:
            main(["fit", *options])
    finally:
        ended.set()
        away.join()
    assert re.search(rf"can't be reached.*{re.escape(str(here))} has all that isn't uploaded yet", str(stop.value.code))
    server.start()
    main(["test", f"{RUN}/one"])
    kept = objects(server, "logs/demo/one/")
    assert {"checkpoints/last.ckpt", "checkpoints/best.ckpt", "history.jsonl", "test/test_scores.json"} <= kept.keys()
    other_machine()
    main(["fit", f"{RUN}/one", "--trainer.max_epochs=3"])
    assert objects(server, "logs/demo/one/")["checkpoints/last.ckpt"] != kept["checkpoints/last.ckpt"]

    # another machine has gone on, and this one too
    (here / "history.jsonl").write_text("{}")
    server.client().put_object(Bucket="cars", Key="logs/demo/one/history.jsonl", Body=b"other")
    with pytest.raises(SystemExit, match=r"have both changed since they were the same.*Remove"):
        main(["test", f"{RUN}/one"])


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (["fit", "--logs=s3://nothing/logs"], "no such bucket"),
        (["fit", "s3://cars/none"], "There is neither a run nor a data set in s3://cars/none"),
        (["test", "s3://cars/none"], "There is no run s3://cars/none"),
        (["runs", "s3://cars/logs"], "There is no run in s3://cars/logs"),
        (["check", "--output=s3://cars/check"], "--output is s3://cars/check: check writes to this machine"),
        (["fit", "--logs=s3://cars/logs", *SHARDED], "object storage takes no sharded"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    server: StorageServer, options: list[str], typed: list[str], message: str, tmp_path: Path
) -> None:
    more = options if typed[0] == "fit" and not typed[1].startswith("s3") else []
    with pytest.raises(SystemExit) as stop:
        main([typed[0], *more, *typed[1:]])
    assert message in str(stop.value.code)
    assert not list((tmp_path / "cache/carspotter/runs").rglob("config.yaml"))
    assert not objects(server, "")


def test_devices_write_one_run(server: StorageServer, options: list[str], other_machine: Callable[[], None]) -> None:
    run_devices(["fit", *options, "--logs=s3://cars/logs", "--name=two"], 2)
    kept = objects(server, "logs/demo/two/")
    other_machine()
    run_devices(["fit", f"{RUN}/two", "--trainer.max_epochs=3"], 2)
    after = objects(server, "logs/demo/two/")
    assert kept["checkpoints/last.ckpt"] != after["checkpoints/last.ckpt"]
    assert [json.loads(line)["event"] for line in after["history.jsonl"].decode().splitlines()] == [
        *("began", "finished", "resumed", "finished")
    ]


@pytest.mark.parametrize("newer", ["first", "other"])
def test_machines_start_from_one_checkpoint_the_newest(
    server: StorageServer, options: list[str], tmp_path: Path, newer: str
) -> None:
    options = [*options, "--early_stopping.patience=null", "--confusion_matrix.enabled=false"]
    again_and_again = ["fit", *options, "--logs=s3://cars/logs", "--name=two", "--ckpt_path=last"]
    ddp = ["--config", "configs/strategy/ddp.yaml", "--trainer.accelerator=cpu", "--trainer.max_epochs=3"]
    caches = [tmp_path / "cache", tmp_path / "other"]

    def job(*order: Path) -> list[int | None]:
        common = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "1", "LOCAL_RANK": "0", "GROUP_WORLD_SIZE": "2"}
        common |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "TORCHELASTIC_RUN_ID": "two"}
        common |= {"TORCHELASTIC_USE_AGENT_STORE": "False"}
        machines = [
            start([*again_and_again, *ddp], {**common, "RANK": rank, "GROUP_RANK": rank, "XDG_CACHE_HOME": str(cache)})
            for rank, cache in zip("01", order, strict=True)
        ]
        for machine in machines:
            machine.join(150)
        return [machine.exitcode for machine in machines]

    main([*again_and_again, "--trainer.max_epochs=1"])
    uploaded = objects(server, "logs/demo/two/")
    states = caches[0] / "carspotter/runs/.states"
    shutil.copytree(states, tmp_path / "states")
    main([*again_and_again, "--trainer.max_epochs=2"])
    second = (caches[0] / COPY).read_bytes()
    # the machine is lost before it has uploaded the second epoch
    for name in objects(server, "logs/demo/two/"):
        server.client().delete_object(Bucket="cars", Key=f"logs/demo/two/{name}")
    for name, content in uploaded.items():
        server.client().put_object(Bucket="cars", Key=f"logs/demo/two/{name}", Body=content)
    shutil.rmtree(states)
    shutil.move(tmp_path / "states", states)
    if newer == "other":  # which isn't the one that writes: it uploads, and the job has to be started again
        caches.reverse()
        assert job(*caches) == [1, 1]
        assert objects(server, "logs/demo/two/")["checkpoints/last.ckpt"] == second
    assert job(*caches) == [0, 0]
    if newer == "first":
        assert (caches[1] / COPY).read_bytes() == second  # not the first epoch's, which was in the storage
    kept = objects(server, "logs/demo/two/")
    assert torch.load(io.BytesIO(kept["checkpoints/last.ckpt"]), weights_only=True)["epoch"] == 2
    events = [json.loads(line)["event"] for line in kept["history.jsonl"].decode().splitlines()]
    assert events == ["began", "finished", "resumed", "finished", "resumed", "finished"]

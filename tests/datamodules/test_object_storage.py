"""Converted data sets in object storage train and score as local ones do, and what fails there is one sentence."""

import json
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from datamodules import StreamingDataModule, ToyCarsDataModule
from datamodules.chunks.conversion import convert
from tests.datamodules.test_streaming import streamed
from tests.runs.test_resume import assert_same
from tests.support.interruptions import interrupted
from tests.support.processes import TIMEOUT, run_devices, start_devices
from tests.support.storage_server import CUT, StorageServer, storage_server
from train import main

pytestmark = [pytest.mark.slow, pytest.mark.heavy]

SECRET = "wJalrXUtnFEMI"  # noqa: S105 - of nothing


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[StorageServer]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with storage_server() as running:
        monkeypatch.setenv("AWS_ENDPOINT_URL", running.url)
        yield running


@pytest.fixture
def stream(
    toy_data: Callable[..., ToyCarsDataModule], tmp_path: Path, server: StorageServer, monkeypatch: pytest.MonkeyPatch
) -> Path:
    monkeypatch.setattr("datamodules.chunks.conversion._CHUNK_BYTES", 40_000)  # about ten pictures
    convert(toy_data(), tmp_path / "stream")
    server.upload(tmp_path / "stream", "stream")
    return tmp_path / "stream"


@pytest.mark.parametrize(("workers", "latency"), [(0, 0.2), (2, 0.02)])
def test_batches_are_those_of_the_local_folder_and_each_chunk_is_fetched_once(
    server: StorageServer, stream: Path, workers: int, latency: float
) -> None:
    options: dict[str, Any] = {"image_size": 64, "batch_size": 16, "crop_to_box": True, "seed": 1}
    local = StreamingDataModule(root=str(stream), num_workers=0, **options)
    remote = StreamingDataModule(root="s3://cars/stream/", num_workers=workers, **options)
    assert remote.class_names == local.class_names
    for data in (local, remote):
        data.setup("fit")
    server.latency = latency
    for loader in ("train_dataloader", "val_dataloader"):
        batches = list(getattr(remote, loader)())
        for (images, labels), (others, their_labels) in zip(batches, getattr(local, loader)(), strict=True):
            assert torch.equal(images, others)
            assert torch.equal(labels, their_labels)
    chunks = [path for path in server.asked if path.endswith(".bin")]
    assert len(chunks) == len(set(chunks)) > 3
    list(remote.train_dataloader())
    assert [path for path in server.asked if path.endswith(".bin")] == chunks


def test_commands_work_from_a_bucket_and_keep_no_secret(
    server: StorageServer, stream: Path, arguments: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    scores = []
    for name, root in (("local", str(stream)), ("bucket", "s3://cars/stream")):
        options = [argument for argument in streamed(arguments, Path("x")) if not argument.startswith("--data.root")]
        main(["fit", *options, f"--data.root={root}", f"--name={name}", "--data.num_workers=1"])
        run = tmp_path / "logs/demo" / name
        main(["test", str(run)])
        found = json.loads((run / "test/test_scores.json").read_text())
        scores.append({key: value for key, value in found.items() if key != "checkpoint"})
    assert scores[0] == scores[1]
    run = tmp_path / "logs/demo/bucket"
    run_devices(["test", str(run), "--data.batch_size=6"], 2)
    shared = json.loads((run / "test-2/test_scores.json").read_text())
    assert {key: shared[key] for key in scores[0]} == pytest.approx(scores[0], abs=1e-5)
    preview = tmp_path / "preview.png"
    main(["check", "--config=configs/streaming.yaml", "--data.root=s3://cars/stream", f"--output={tmp_path / 'check'}"])
    main(["preview", "--config=configs/streaming.yaml", "--data.root=s3://cars/stream", f"--output={preview}"])
    shown = preview.read_bytes()
    main(["preview", "--config=configs/streaming.yaml", f"--data.root={stream}", f"--output={preview}-2.png"])
    assert Path(f"{preview}-2.png").read_bytes() == shown
    printed = "".join(capfd.readouterr())
    assert SECRET not in printed
    for file in (tmp_path / "logs").rglob("*"):
        assert not file.is_file() or SECRET.encode() not in file.read_bytes()


def test_a_bucket_is_written_as_a_folder_is(
    server: StorageServer, stream: Path, run: Callable[..., None], mistake: Callable[..., str]
) -> None:
    def objects(prefix: str) -> dict[str, bytes]:
        client = server.client()
        keys = [item["Key"] for item in client.list_objects_v2(Bucket="cars", Prefix=prefix).get("Contents", [])]
        return {key[len(prefix) :]: client.get_object(Bucket="cars", Key=key)["Body"].read() for key in keys}

    server.put_fault = lambda number: 503 if number % 3 == 0 else 0  # which are tried again
    run("convert", "--output=s3://cars/direct/")
    server.put_fault = lambda _: 0
    assert objects("direct/").keys() == objects("stream/").keys()
    for name, content in objects("stream/").items():
        mine = objects("direct/")[name]
        if name.endswith("index.json"):  # which says when it was written
            content, mine = (text.partition(b'"updated_at"')[0] for text in (content, mine))
        assert mine == content, name
    assert "which exists already" in mistake("convert", "--output=s3://cars/direct")
    assert "no such bucket" in mistake("convert", "--output=s3://others/direct")


def test_few_chunks_may_be_kept(server: StorageServer, stream: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {"image_size": 64, "num_workers": 0, "cache_dir": str(tmp_path / "few")}
    data = StreamingDataModule(root="s3://cars/stream", cache_gb=100e3 / 1e9, **options)
    data.setup("test")
    assert sum(len(labels) for _, labels in data.test_dataloader()) == 40
    kept = sum(file.stat().st_size for file in (tmp_path / "few").rglob("*.bin"))
    assert 0 < kept <= 100e3
    dataset = data.datasets["test"]
    for index in (0, 39, 0):
        np.testing.assert_array_equal(dataset.read(index), _local(stream).datasets["test"].read(index))
    small = StreamingDataModule(root="s3://cars/stream", cache_gb=1e3 / 1e9, **options)
    with pytest.raises(Exception, match=r"raise data\.cache_gb"):
        small.setup("test")


def _local(stream: Path) -> StreamingDataModule:
    data = StreamingDataModule(root=str(stream), image_size=64, num_workers=0)
    data.setup("test")
    return data


@pytest.mark.parametrize("status", [503, CUT])
def test_errors_of_the_server_are_outlived(server: StorageServer, stream: Path, status: int) -> None:
    data = StreamingDataModule(root="s3://cars/stream", image_size=64, batch_size=16, num_workers=1)
    data.setup("fit")
    server.fault = lambda number: status if number % 4 == 1 else 0
    assert sum(len(labels) for _, labels in data.train_dataloader()) == 64


def test_a_server_that_is_away_for_a_while_is_waited_for(server: StorageServer, stream: Path) -> None:
    data = StreamingDataModule(
        root="s3://cars/stream", image_size=64, batch_size=4, num_workers=0, cache_gb=60e3 / 1e9, seed=1
    )
    data.setup("fit")
    expected = [labels.tolist() for _, labels in data.train_dataloader()]
    found = []
    for number, (_, labels) in enumerate(data.train_dataloader()):
        found.append(labels.tolist())
        if number == 3:
            server.stop()
            threading.Timer(2, server.start).start()
    assert found == expected


def test_chunks_are_fetched_before_they_are_needed(
    server: StorageServer, stream: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("datamodules.loading.samplers._WINDOW", 2)
    data = StreamingDataModule(root="s3://cars/stream", image_size=64, batch_size=1, num_workers=0, seed=1)
    data.setup("fit")
    dataset = data.datasets["train"]
    keys = list(data.train_dataloader().sampler)
    chunks = dataset.blocks_of(np.array([key.sample for key in keys]))
    assert chunks is not None
    announced = [(place, chunk) for place, key in enumerate(keys) for chunk in key.soon]
    assert sorted(chunk for _, chunk in announced) == sorted(set(chunks.tolist()))
    assert [chunk for _, chunk in announced] == list(dict.fromkeys(chunks.tolist()))  # in the order of their need
    for place, chunk in announced:
        first = chunks.tolist().index(chunk)
        assert place == max(0, first - 2 * (dataset.block or 0))
    later = next(place for place, _ in announced if place > 0)
    batches = iter(data.train_dataloader())
    for _ in range(later + 1):
        next(batches)
    soon, needed = announced[-1][1], set(chunks[: later + 1].tolist())
    assert len(set(chunks.tolist()) - needed) > 0
    wanted = {chunk for place, chunk in announced if place <= later}
    assert wanted - needed
    until = time.monotonic() + 20
    while time.monotonic() < until and {number(path) for path in server.asked if "train/chunk" in path} < wanted:
        time.sleep(0.05)
    fetched = {number(path) for path in server.asked if "train/chunk" in path}
    assert wanted <= fetched
    assert soon not in fetched or soon in wanted


def number(path: str) -> int:
    """The number of a chunk that one process has written, from its name ``chunk-0-NUMBER.bin``."""
    return int(path.rpartition("-")[2].partition(".")[0])


@pytest.mark.parametrize("devices", [1, 2])
def test_a_training_from_a_bucket_that_is_stopped_in_mid_epoch_ends_as_one_from_the_folder(
    server: StorageServer, stream: Path, arguments: list[str], tmp_path: Path, devices: int
) -> None:
    options = [argument for argument in streamed(arguments, Path("x")) if not argument.startswith("--data.root")]
    options += ["--data.num_workers=1", "--data.batch_size=2", "--previews.enabled=false"]
    run_devices(["fit", *options, f"--data.root={stream}", "--name=whole"], devices)
    torn = ["fit", *options, "--data.root=s3://cars/stream", "--name=torn"]
    for process in start_devices([*torn, *interrupted("batch", 33, signal.SIGTERM)], devices):
        process.join(TIMEOUT)
        assert process.exitcode == 143
    runs = tmp_path / "logs/demo"
    half = torch.load(runs / "torn/checkpoints/last.ckpt", weights_only=True)
    assert 32 < half["global_step"] < 64  # in the second epoch
    run_devices(["fit", str(runs / "torn"), "--trainer.callbacks=[]"], devices)
    ends = [torch.load(runs / name / "checkpoints/last.ckpt", weights_only=True) for name in ("whole", "torn")]
    assert ends[0]["global_step"] == ends[1]["global_step"] == 64
    assert_same(ends[1]["state_dict"], ends[0]["state_dict"])


def test_what_cannot_be_read_is_one_sentence(
    server: StorageServer, stream: Path, mistake: Callable[..., str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def answer(root: str) -> str:
        return mistake("fit", "--data=datamodules.StreamingDataModule", f"--data.root={root}")

    assert "There is no s3://cars/nothing/classes.txt" in answer("s3://cars/nothing")
    assert "no such bucket" in answer("s3://other/stream")
    assert re.search(r"needs a package for nowhere://", answer("nowhere://cars/stream"))
    server.fault = lambda _: 403
    assert "check its name and your credentials" in answer("s3://cars/stream")
    server.fault = lambda _: 0
    monkeypatch.setattr("datamodules.remote.storage._PATIENCE", 0.5)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    assert "Go on when the storage answers again" in answer("s3://cars/stream")
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert "AWS_ACCESS_KEY_ID" in answer("s3://cars/stream")


def test_a_profile_of_the_aws_files_is_enough(
    server: StorageServer, stream: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config").write_text(f"[profile lab]\nregion = us-east-1\nendpoint_url = {server.url}\n")
    (tmp_path / "credentials").write_text(f"[lab]\naws_access_key_id = id\naws_secret_access_key = {SECRET}\n")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_PROFILE", "lab")
    data = StreamingDataModule(root="s3://cars/stream", image_size=64, num_workers=0)
    data.setup("test")
    assert sum(len(labels) for _, labels in data.test_dataloader()) == 40


def test_a_chunk_that_has_changed_is_not_read(server: StorageServer, stream: Path) -> None:
    data = StreamingDataModule(root="s3://cars/stream", image_size=64, num_workers=0)
    data.setup("test")
    server.client().put_object(Bucket="cars", Key="stream/test/chunk-0-0.bin", Body=b"other")
    with pytest.raises(Exception, match="changed since it was converted"):
        list(data.test_dataloader())


def test_a_storage_that_fails_for_good_ends_a_training_in_one_sentence_and_it_goes_on_later(
    server: StorageServer, stream: Path, arguments: list[str], tmp_path: Path
) -> None:
    options = [argument for argument in streamed(arguments, Path("x")) if not argument.startswith("--data.root")]
    options += ["--data.root=s3://cars/stream", "--data.num_workers=1", f"--data.cache_gb={60e3 / 1e9}", "--name=cut"]
    main(["fit", *options, "--trainer.max_epochs=1"])
    needed = len(server.asked)
    server.fault = lambda number: 403 if number > needed + 8 else 0
    run = tmp_path / "logs/demo/cut"
    with pytest.raises(SystemExit, match=r"error: No access to s3://cars/stream/\w+/chunk-0-\d\.bin .*credentials"):
        main(["fit", str(run), "--trainer.max_epochs=3"])
    assert (run / "checkpoints/last.ckpt").exists()
    server.fault = lambda _: 0
    main(["fit", str(run), "--trainer.max_epochs=3"])
    began = [json.loads(line)["event"] for line in (run / "history.jsonl").read_text().splitlines()]
    assert began[-1] == "finished"

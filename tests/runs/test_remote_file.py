"""Weights and checkpoints that are named by a URL, from a server on this machine."""

import hashlib
import re
from collections.abc import Callable, Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
import safetensors.torch
import torch
import torchvision

from runs.remote_file import fetch
from tests.support.hub_server import HubServer, serve
from tests.support.malicious import Malicious

QUICK = ["--trainer.max_epochs=1", "--trainer.limit_train_batches=1", "--previews.enabled=false"]


class Plain(BaseHTTPRequestHandler):
    """Answers as most servers of files do.

    Attributes:
        sent: The headers about the file that are sent.
        asked: The headers that are understood.
    """

    server: HubServer
    sent: tuple[str, ...] = ("ETag", "Last-Modified")
    asked: tuple[str, ...] = ("If-None-Match", "If-Modified-Since")

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        name = self.path.partition("?")[0][1:]
        if (content := self.server.files.get(name)) is None:
            self.send_error(404)
            return
        digest = hashlib.sha256(content).hexdigest()
        about = {"ETag": f'"{digest}"', "Last-Modified": formatdate(int(digest[:7], 16), usegmt=True)}
        same = any(self.headers.get(header) in about.values() for header in self.asked)
        self.send_response(304 if same else 200)
        for header in self.sent:
            self.send_header(header, about[header])
        if same:
            self.end_headers()
            return
        self.send_header("Content-Length", str(len(content)))
        self.server.requests[name] += 1  # before the headers are sent, after which a client may be done
        self.end_headers()
        drops = self.server.drops.get(name, [])
        self.wfile.write(content[: drops.pop(0)] if drops else content)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "cache"))
    with serve("nobody/nothing", {}) as server:
        server.RequestHandlerClass = Plain
        yield server


@pytest.mark.parametrize("name", ["net.pth", "net.safetensors", "folder/net.pth?download=true"])
def test_weights_come_from_a_url_once(server: HubServer, run: Callable[..., None], tmp_path: Path, name: str) -> None:
    state, file = torchvision.models.squeezenet1_1().state_dict(), tmp_path / "file"
    (safetensors.torch.save_file if name.endswith("safetensors") else torch.save)(state, file)
    path = name.partition("?")[0]
    server.files[path] = file.read_bytes()
    for number in range(2):
        run("fit", *QUICK, f"--model.weights={server.url}/{name}", "--model.learning_rate=0")
        content = torch.load(tmp_path / f"logs/demo/version_{number}/checkpoints/last.ckpt", weights_only=True)
        assert torch.equal(content["state_dict"]["network.features.0.weight"], state["features.0.weight"])
    assert server.requests[path] == 1


def test_a_checkpoint_comes_from_a_url(server: HubServer, run: Callable[..., None], tmp_path: Path) -> None:
    run("fit", *QUICK)
    server.files["best.ckpt"] = (tmp_path / "logs/demo/version_0/checkpoints/best.ckpt").read_bytes()
    run("test", f"--ckpt_path={server.url}/best.ckpt")
    run("test", "--ckpt_path=best")
    (remote,) = (tmp_path / "logs").glob("*-best/test/test_scores.json")  # named like the file it was fetched to
    local = tmp_path / "logs/demo/version_0/test/test_scores.json"
    assert remote.read_text().split("checkpoint")[0] == local.read_text().split("checkpoint")[0]


@pytest.mark.parametrize("option", ["model.weights", "ckpt_path"])
@pytest.mark.parametrize("how", ["pickle", "zip"])
def test_what_comes_from_a_url_runs_no_code(
    server: HubServer, mistake: Callable[..., str], tmp_path: Path, option: str, how: str
) -> None:
    file, done = tmp_path / "evil.pth", tmp_path / "done"
    torch.save({"state_dict": Malicious(done)}, file, _use_new_zipfile_serialization=how == "zip")
    server.files["evil.pth"] = file.read_bytes()
    assert "is damaged or no" in mistake("fit", f"--{option}={server.url}/evil.pth")
    assert not done.exists()


def test_a_connection_that_breaks_leaves_nothing_and_says_so(
    server: HubServer, mistake: Callable[..., str], run: Callable[..., None], tmp_path: Path
) -> None:
    torch.save(torchvision.models.squeezenet1_1().state_dict(), tmp_path / "net.pth")
    server.files["net.pth"] = (tmp_path / "net.pth").read_bytes()
    server.drops["net.pth"] = [100_000]
    weights = f"--model.weights={server.url}/net.pth"
    answer = mistake("fit", weights)
    assert f"{server.url}/net.pth (it broke off after 100000 of {len(server.files['net.pth'])} bytes)" in answer
    assert not [file for file in (tmp_path / "cache").rglob("*.pth*") if file.suffix != ".lock"]
    run("fit", *QUICK, weights)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("{server}/none.pth", "Not Found"),
        ("http://127.0.0.1:1/net.pth", "refused"),
        ("http://[broken/net.pth", "Invalid IPv6"),
        ("https://127.0.0.1:{port}/net.pth", "SSL"),
    ],
)
def test_an_address_that_leads_nowhere_is_named(
    server: HubServer, mistake: Callable[..., str], url: str, expected: str
) -> None:
    url = url.format(server=server.url, port=server.server_port)
    for option in ("model.weights", "ckpt_path"):
        answer = mistake("fit", f"--{option}={url}")
        assert expected in answer
        assert url in answer


LOG = "lightning.pytorch.utilities.rank_zero"


@pytest.mark.parametrize("sent", [("ETag",), ("Last-Modified",), ("ETag", "Last-Modified")])
@pytest.mark.parametrize("asked", [("If-None-Match", "If-Modified-Since"), ()])
def test_a_file_that_has_been_replaced_is_fetched_again(
    server: HubServer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    sent: tuple[str, ...],
    asked: tuple[str, ...],
) -> None:
    monkeypatch.setattr(Plain, "sent", sent)
    monkeypatch.setattr(Plain, "asked", asked)
    for content in (b"old", b"new", b"old"):
        server.files["net.pth"] = content
        with caplog.at_level("INFO", LOG):
            copies = [fetch(f"{server.url}/net.pth", "model.weights") for _ in range(2)]
        assert copies[0] == copies[1]
        assert copies[0].read_bytes() == content
    assert "kept copy" not in caplog.text
    assert server.requests["net.pth"] == (3 if asked else 6)  # in the latter half only headers are read


def test_a_copy_whose_address_cannot_be_asked_is_taken_and_named(
    server: HubServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    url = f"{server.url}/net.pth"
    server.files["net.pth"] = b"old"
    copy = fetch(url, "model.weights")

    def kept() -> str:
        caplog.clear()
        with caplog.at_level("INFO", LOG):
            assert fetch(url, "model.weights") == copy
        assert copy.read_bytes() == b"old"
        assert not list(copy.parent.glob("*.part"))
        return caplog.text

    server.files["net.pth"] = b"newer"
    server.drops["net.pth"] = [2]
    assert re.search(rf"it broke off after 2 of 5 bytes\): kept copy of \d{{4}}-\d\d-\d\d \d\d:\d\d: {copy}\n", kept())
    del server.files["net.pth"]
    assert "Not Found): kept copy of" in kept()
    server.server_close()
    server.shutdown()
    assert "refused): kept copy of" in kept()


def test_without_dates_a_copy_is_kept_until_its_length_changes(
    server: HubServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Plain, "sent", ())
    url = f"{server.url}/net.pth"
    for content, taken in ((b"old", b"old"), (b"new", b"old"), (b"newer", b"newer")):
        server.files["net.pth"] = content
        caplog.clear()
        with caplog.at_level("INFO", LOG):
            assert fetch(url, "model.weights").read_bytes() == taken
        assert ("the server doesn't say when it changes): kept copy" in caplog.text) == (content == b"new")


def test_a_copy_of_which_nothing_was_written_down_is_fetched_once_more(server: HubServer) -> None:
    url = f"{server.url}/net.pth"
    server.files["net.pth"] = b"new"
    copy = fetch(url, "model.weights")
    copy.with_name(f"{copy.name}.json").unlink()  # as before copies were looked after
    copy.write_bytes(b"old")
    for _ in range(2):
        assert fetch(url, "model.weights").read_bytes() == b"new"
    assert server.requests["net.pth"] == 2

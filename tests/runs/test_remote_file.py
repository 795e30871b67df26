"""Weights and checkpoints that are named by a URL, from a server on this machine."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import safetensors.torch
import torch
import torchvision

from tests.support.hub_server import HubServer, serve
from tests.support.malicious import Malicious

QUICK = ["--trainer.max_epochs=1", "--trainer.limit_train_batches=1", "--previews.enabled=false"]


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "cache"))
    with serve("nobody/nothing", {}) as server:
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

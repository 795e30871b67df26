"""Nothing runs, leaves or enters that nobody asked for."""

import ast
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from command_line.trusted_classes import untrusted_names
from tests.support.checkout import CHECKOUT

# Records whoever looks for a host or connects to one; in a process of its own, from the first import on.
OFFLINE = """
import socket, sys
def refuse(*args, **kwargs):
    with open(sys.argv[1], "a") as file:
        file.write(f"{args}\\n")
    raise OSError("no network")
socket.getaddrinfo = socket.socket.connect = socket.create_connection = refuse
from train import main
for command in ("fit", "test"):
    main([command, *sys.argv[2:], *(["--ckpt_path=best"] if command == "test" else [])])
"""


@pytest.mark.slow
def test_training_and_testing_touch_no_network(arguments: list[str], tmp_path: Path) -> None:
    attempts = tmp_path / "attempts"
    finished = subprocess.run(
        [sys.executable, "-c", OFFLINE, str(attempts), *arguments],
        cwd=CHECKOUT, env={**os.environ, "OMP_NUM_THREADS": "1"}, timeout=300,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr[-3000:]
    assert not attempts.exists(), attempts.read_text()


EVIL = "class Evil:\n    pass\n\nopen({path!r}, 'w').close()\n"


@pytest.mark.parametrize(
    "how",
    [
        "option", "JSON", "long JSON", "text with a date", "config", "config in a config", "config beside a config",
        "home", "URL", "padded", "not UTF-8", "shorthand",
    ],
)  # fmt: skip
def test_a_switch_refuses_strange_classes_before_they_are_imported(
    mistake: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    (tmp_path / "strange.py").write_text(EVIL.format(path=str(tmp_path / "imported")))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    inner, config = tmp_path / "sub/inner.yaml", tmp_path / "config.yaml"
    inner.parent.mkdir()
    inner.write_text("class_path: strange.Evil\n")
    evil = "trainer:\n  callbacks:\n  - class_path: strange.Evil\n"
    text = {
        "config in a config": f"data: {inner}\n",
        "config beside a config": "data: sub/inner.yaml\n",  # from the folder of the config, not from here
        "home": "data: ~/sub/inner.yaml\n",
        "URL": f"data: file://{inner}\n",
        "padded": f"{evil}#{'x' * 1_100_000}\n",
    }.get(how, evil)
    config.write_bytes(text.encode() + b"# \xe9\n" * (how == "not UTF-8"))
    options = {
        "option": ["--trainer.callbacks+=strange.Evil"],
        "JSON": ['--trainer.callbacks=[{"class_path": "strange.Evil"}]'],
        "long JSON": [f'--trainer.callbacks=[{{"class_path": "strange.Evil"}}{" " * 5000}]'],
        # a day at which PyYAML's own loader fails
        "text with a date": ["--data={class_path: strange.Evil, init_args: {root: 2020-13-45}}"],
        "shorthand": ["--data", "strange.Evil"],
    }.get(how, ["--config", str(config)])
    assert "refuses strange.Evil" in mistake("fit", "--trusted_only", *options)
    assert not (tmp_path / "imported").exists()
    mistake("fit", *options)  # refused as well, since it is no callback; but too late
    assert (tmp_path / "imported").exists() == (how != "not UTF-8")
    sys.modules.pop("strange", None)


@pytest.mark.parametrize("how", ["pipe", "unreadable"])
def test_the_switch_refuses_what_it_cannot_look_into(
    mistake: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    config = tmp_path / "config.yaml"
    if how == "pipe":
        os.mkfifo(config)
    else:
        config.touch()
        opened = Path.open

        def refuse(path: Path, *others: Any, **kwargs: Any) -> Any:  # root may read everything
            if path == config:
                raise PermissionError(13, "Permission denied", str(config))
            return opened(path, *others, **kwargs)

        monkeypatch.setattr(Path, "open", refuse)
    assert f"Can't look for names of classes in {config}" in mistake("fit", "--trusted_only", "--config", str(config))


def test_the_switch_passes_over_what_is_no_config(tmp_path: Path) -> None:
    (tmp_path / "weights.pt").write_bytes(b"PK\x03\x04\0\0 strange.Evil")
    (tmp_path / "circle.yaml").write_text("a: &a [*a]\n")
    (tmp_path / "all.yaml").write_text("weights: weights.pt\ncircle: circle.yaml\n")
    assert [*untrusted_names(["--config", str(tmp_path / "all.yaml"), "xml.sax"])] == ["xml.sax"]


def test_the_switch_lets_this_projects_configs_pass(run: Callable[..., None], tmp_path: Path) -> None:
    overlay = str(CHECKOUT / "configs/augmentation/strong.yaml")
    run("fit", "--trusted_only", "--config", overlay, "--trainer.max_epochs=1", "--trainer.limit_train_batches=1")
    assert (tmp_path / "logs/demo/version_0/checkpoints/last.ckpt").is_file()


def test_nothing_is_unpickled_without_restraint() -> None:
    for package in ("command_line", "callbacks", "lightning_modules", "results", "runs", "datamodules", "benchmarks"):
        for path in (CHECKOUT / package).rglob("*.py"):
            source = path.read_text()
            for call in ast.walk(ast.parse(source)):
                if isinstance(call, ast.Call) and ast.unparse(call.func) == "torch.load":
                    assert "weights_only=True" in ast.unparse(call), path
            assert not re.search(r"\bpickle\.loads?\(|weights_only=False|allow_pickle=True", source), path


@pytest.mark.parametrize(
    ("package", "version"),
    [
        ("lightning", "2.6.2"), ("lightning", "2.6.3"),  # carried malware (GHSA-w37p-236h-pfx3)
        ("pytorch-lightning", "2.6.2"), ("pytorch-lightning", "2.6.3"),
        ("tensorboard", "2.20.0"),  # imports what setuptools no longer has
        ("albumentations", "2.0.7"), ("jsonargparse", "5.0.0"),
    ],
)  # fmt: skip
def test_known_bad_releases_cannot_be_installed(package: str, version: str) -> None:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    requirements = {found.name: found for found in map(Requirement, project["dependencies"])}
    assert version not in requirements[package].specifier

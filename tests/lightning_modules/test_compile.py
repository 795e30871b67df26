"""A compiled network is trained, saved, averaged, tested and used as one that isn't."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from lightning_modules import ImageClassifier
from lightning_modules.network_call import NetworkCall
from train import main

Run = Callable[..., None]
QUICK = ["--model.backbone=resnet18", "--unfreezing.every_n_epochs=1", "--ema.decay=0.9", "--trainer.max_epochs=3"]


@pytest.fixture
def compilations(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[bool]]:
    """Compile by a backend that takes the operations as they are, and count how often."""
    counted: Counter[bool] = Counter()

    def backend(graph: Any, _: Any) -> Any:
        counted[torch.is_grad_enabled()] += 1
        return graph.forward

    original = nn.Module.compile
    monkeypatch.setattr(nn.Module, "compile", lambda self, **options: original(self, backend=backend, **options))
    yield counted
    torch.compiler.reset()


def last(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = torch.load(folder / "checkpoints/last.ckpt", weights_only=True)
    return content


@pytest.mark.slow
def test_a_compiled_run_equals_one_that_is_not(run: Run, tmp_path: Path, compilations: Counter[bool]) -> None:
    run("fit", *QUICK, "--name=plain")
    assert not compilations
    run("fit", *QUICK, "--name=compiled", "--model.compile=true")
    # a training in three states of frozen layers, and an evaluation in each: never once a step
    assert 4 <= sum(compilations.values()) <= 8
    plain, compiled = (last(tmp_path / "logs/demo" / name) for name in ("plain", "compiled"))
    for state in ("state_dict", "current_model_state"):
        assert plain[state].keys() == compiled[state].keys()
        for name, value in plain[state].items():
            torch.testing.assert_close(compiled[state][name], value, msg=name)
    for name in ("plain", "compiled"):
        main(["test", str(tmp_path / "logs/demo" / name)])
    plain_scores, compiled_scores = (
        json.loads((tmp_path / f"logs/demo/{name}/test/test_scores.json").read_text()) for name in ("plain", "compiled")
    )
    assert compiled_scores["test_tta/accuracy"] == plain_scores["test_tta/accuracy"]
    model = ImageClassifier.load(tmp_path / "logs/demo/compiled")
    answer = model.classify(np.zeros((80, 90, 3), np.uint8))
    assert sum(answer.values()) == pytest.approx(1, abs=1e-5)


class Squared(nn.Module):
    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return pixels.square().mean(dim=(2, 3))


def test_sizes_that_come_once_are_not_compiled(compilations: Counter[bool]) -> None:
    call = NetworkCall(Squared().eval(), tuple)
    call.compile()
    for images in (8, 8, 5, 3, 8):
        pixels = torch.rand(images, 3, 4, 4)
        torch.testing.assert_close(call(pixels), pixels.square().mean(dim=(2, 3)))
    assert sum(compilations.values()) == 1


def test_any_number_of_states_is_compiled(compilations: Counter[bool]) -> None:
    states = iter(range(100))
    call = NetworkCall(Squared().train(), lambda: next(states))
    call.compile()
    for side in range(4, 24):  # more than PyTorch compiles of one function
        call(torch.rand(2, 3, side, side))
    assert sum(compilations.values()) == 20


def test_eagerly_means_that_nothing_is_compiled(compilations: Counter[bool]) -> None:
    call = NetworkCall(Squared().eval(), tuple)
    call.compile()
    with call.eagerly():
        call(torch.rand(2, 3, 4, 4))
    assert not compilations
    for images in (5, 5):  # the first batch is the first that isn't computed eagerly
        call(torch.rand(images, 3, 4, 4))
    assert sum(compilations.values()) == 1


def test_what_cannot_be_compiled_is_said(
    run: Run, monkeypatch: pytest.MonkeyPatch, mistake: Callable[..., str]
) -> None:
    def backend(graph: Any, _: Any) -> Any:
        raise FileNotFoundError("no C++ compiler")

    original = nn.Module.compile
    monkeypatch.setattr(nn.Module, "compile", lambda self, **options: original(self, backend=backend, **options))
    answer = mistake("fit", "--model.compile=true", "--trainer.num_sanity_val_steps=0", "--trainer.max_epochs=1")
    assert "model.compile is true, but PyTorch can't compile the network here" in answer
    assert "no C++ compiler" in answer
    torch.compiler.reset()

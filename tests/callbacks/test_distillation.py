"""Distillation (``distillation.teacher``) is the formula, finds the classes, and is needed in training alone."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from torch.nn.functional import cross_entropy, kl_div, log_softmax

from lightning_modules import ImageClassifier
from lightning_modules.networks import PixelNormalization
from lightning_modules.training.teacher import Teacher
from lightning_modules.training.training_loss import TrainingLoss
from tests.runs.test_resume import assert_same
from train import main

Run = Callable[..., None]
PROBE = "--trainer.callbacks+=tests.support.probes."
NETWORK = ["--model.backbone=resnet18", "--model.weights=null", "--data.image_size=32"]


def teacher_of(names: list[str], size: int = 32) -> ImageClassifier:
    torch.manual_seed(0)
    return ImageClassifier("resnet18", None, names, size).eval()


def test_the_loss_is_hintons_at_a_temperature_of_1() -> None:
    torch.manual_seed(0)
    logits, labels, soft = torch.randn(5, 4), torch.randint(4, (5,)), torch.randn(5, 4).softmax(dim=1)
    loss = TrainingLoss(4, label_smoothing=0.1)
    plain = loss(logits, labels, torch.empty(0))
    torch.testing.assert_close(plain, cross_entropy(logits, labels, label_smoothing=0.1))
    loss.learn_from(lambda _: soft, 0.3)
    divergence = kl_div(log_softmax(logits, dim=1), soft, reduction="batchmean")
    entropy = -(soft * soft.log()).sum(dim=1).mean()  # which has no gradient
    torch.testing.assert_close(loss(logits, labels, torch.empty(0)), 0.7 * plain + 0.3 * (divergence + entropy))
    loss.learn_from(None)
    torch.testing.assert_close(loss(logits, labels, torch.empty(0)), plain)


def test_the_teacher_sees_the_images_and_finds_the_classes() -> None:
    model = teacher_of(["a", "b", "c"])
    student = PixelNormalization((0.5, 0.4, 0.3), (0.2, 0.3, 0.4))  # other than the teacher's
    images = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    assert Teacher(teacher_of(["Ram C/V", "b"]), ["Ram C-V"], student).places.tolist() == [0]  # however they are spelt
    answers = Teacher(model, ["c", "a"], student)(student(images))
    expected = model(images)[:, [2, 0]].softmax(dim=1)
    torch.testing.assert_close(answers, expected, rtol=1e-4, atol=1e-6)
    assert not answers.requires_grad


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("students", [torch.bfloat16, torch.float32, torch.float64])
def test_precisions_need_not_be_the_same(dtype: torch.dtype, students: torch.dtype) -> None:
    student = PixelNormalization((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)).to(students)
    images = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    answers = Teacher(teacher_of(["a", "b"]).to(dtype), ["b", "a"], student)(student(images))
    assert answers.dtype == torch.float32
    expected = teacher_of(["a", "b"])(images)[:, [1, 0]].softmax(dim=1)
    torch.testing.assert_close(answers, expected, rtol=0.03, atol=0.01)


def test_the_teacher_sees_images_in_its_own_size() -> None:
    model, student = teacher_of(["a", "b"], 64), PixelNormalization((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    seen: list[torch.Size] = []
    model.network.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape[-2:]))
    Teacher(model, ["a", "b"], student)(torch.zeros(1, 3, 48, 48))
    assert seen == [torch.Size([64, 64])]


def test_a_teacher_that_lacks_a_class_says_so() -> None:
    with pytest.raises(MisconfigurationException, match="doesn't know 1 of 3 classes, 'z' first"):
        Teacher(teacher_of(["a", "b"]), ["a", "z", "b"], PixelNormalization((0.5,) * 3, (0.5,) * 3))


def checkpoint(folder: Path) -> dict[str, object]:
    found: dict[str, object] = torch.load(folder / "checkpoints/last.ckpt", weights_only=True)
    return found


@pytest.mark.slow
def test_a_run_learns_from_another_one(
    run: Run, mistake: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logs = tmp_path / "logs/demo"
    run("fit", *NETWORK, "--name=teacher", "--trainer.max_epochs=1")
    learn = [*NETWORK, "--ema.decay=0.9", f"--distillation.teacher={logs / 'teacher'}", "--distillation.weight=0.9"]
    run("fit", *NETWORK, "--ema.decay=0.9", "--name=alone")
    run("fit", *learn, "--name=student")
    student, alone = checkpoint(logs / "student"), checkpoint(logs / "alone")
    assert student["state_dict"].keys() == alone["state_dict"].keys()  # type: ignore[attr-defined]
    with pytest.raises(AssertionError):
        assert_same(student["state_dict"], alone["state_dict"])
    monkeypatch.chdir(tmp_path)
    interruption = [f"{PROBE}Interruption", "--trainer.callbacks.epoch=1"]
    with pytest.raises(InterruptedError):
        run("fit", *learn, "--distillation.teacher=logs/demo/teacher", "--name=parts", *interruption)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    main(["fit", str(logs / "parts"), "--trainer.callbacks=null"])
    for key in ("state_dict", "optimizer_states", "global_step"):
        assert_same(checkpoint(logs / "parts")[key], student[key])
    shutil.rmtree(logs / "teacher")
    main(["test", str(logs / "student")])  # which needs no teacher any more
    answer = mistake("fit", *learn, "--name=later")
    assert "distillation.teacher: There is no run or checkpoint" in answer
    assert not (logs / "later").exists()
    answer = mistake("fit", *NETWORK, "--distillation.weight=1.5")
    assert "distillation.weight is 1.5: it has to be from 0 to 1" in answer

"""Chooses settings for the device and the network, where the user has set none."""

from typing import Any, NamedTuple

import torch
from lightning import Trainer

from command_line.hardware.kept_memory import keep_freed_memory
from command_line.hardware.precision_trial import cpu_has_bfloat16, try_precisions
from command_line.hardware.torchrun_processes import is_from_torchrun
from datamodules import ImageDataModule
from lightning_modules import ImageClassifier
from lightning_modules.training.layerwise_optimization import scales_gradients

_WORTHWHILE = 1.2  # times as fast; less may be chance, and bfloat16 rounds
_AMPERE = (8, 0)
_VOLTA = (7, 0)


class Chosen(NamedTuple):
    """Arguments of the trainer.

    Attributes:
        precision: ``trainer.precision``.
        benchmark: ``trainer.benchmark``.
        float32_matmul_precision: ``trainer.float32_matmul_precision``.
        reasons: What was chosen, not set, and why.
    """

    precision: Any
    benchmark: bool | None
    float32_matmul_precision: str | None
    reasons: list[str]

    def arguments(self) -> dict[str, Any]:
        """All but the reasons, by name."""
        return {
            "precision": self.precision,
            "benchmark": self.benchmark,
            "float32_matmul_precision": self.float32_matmul_precision,
        }


def device_type(accelerator: Any) -> str:
    """Name the kind of device that Lightning will take.

    Args:
        accelerator: ``trainer.accelerator``.

    Returns:
        ``cuda``, ``mps``, ``cpu`` or, of one that is an object, ``other``.
    """
    if not isinstance(accelerator, str):
        return "other"
    if accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available():
        return "cuda"
    if accelerator in ("auto", "gpu", "mps") and torch.backends.mps.is_available():
        return "mps"
    return "cpu" if accelerator in ("auto", "cpu") else "other"


def choose(config: Any, module: ImageClassifier, training: bool) -> Chosen:
    """Choose what ``trainer.precision: auto`` and nulls leave open; on the CPU, keep freed memory in the process.

    Args:
        config: The config of the trainer.
        module: The classifier, on the CPU.
        training: Whether the command trains; others have the precision of the run, or full precision.

    Returns:
        The choice.
    """
    device = device_type(config.accelerator)
    reasons = []
    if device == "cpu" and keep_freed_memory():  # before precisions are timed
        reasons.append("freed memory is kept for the next step")
    precision = config.precision
    if precision == "auto":
        precision, why = None, ""
        if training and not config.plugins and device == "cuda":
            precision, why = _on_gpu()
        elif training and not config.plugins and device == "cpu":
            precision, why = _on_cpu(config, module)
        precision = precision or (None if config.plugins else "32-true")
        reasons += [f"{precision} ({why})"] if why else []
    matmul, benchmark = config.float32_matmul_precision, config.benchmark
    if device == "cuda":
        if matmul is None and torch.cuda.get_device_capability() >= _AMPERE:
            matmul = "high"
            reasons.append("TF32 for what stays float32")
        if benchmark is None and not config.deterministic:
            benchmark = True
            reasons.append("cudnn.benchmark")
    return Chosen(precision, benchmark, matmul, reasons)


def describe(chosen: Chosen, trainer: Trainer, module: ImageClassifier, data: ImageDataModule) -> str | None:
    """Describe in one line what was chosen and why.

    Args:
        chosen: What ``choose`` returned.
        trainer: The trainer.
        module: The classifier.
        data: The data module.

    Returns:
        The line; None if the user has set everything.
    """
    device = trainer.strategy.root_device.type
    parts = [*chosen.reasons]
    if device == "cuda" and module.hparams["fused"] and not scales_gradients(trainer):
        parts.append(f"fused {module.hparams['optimizer']}")
    if data.num_workers is None:
        workers, reason = data.choose_workers(trainer.num_devices, device != "cpu")
        parts.append(f"{workers or 'no'} loading process{'es' * (workers != 1)} ({reason})")
    return f"Chosen for this machine: {'; '.join(parts)}." if parts else None


def _on_gpu() -> tuple[str, str]:
    name, capability = torch.cuda.get_device_name(), torch.cuda.get_device_capability()
    if capability >= _AMPERE:
        return "bf16-mixed", f"{name} computes in bfloat16"
    if capability >= _VOLTA:
        return "16-mixed", f"{name} computes in float16, not in bfloat16"
    return "32-true", f"{name} computes in float32 alone"


def _on_cpu(config: Any, module: ImageClassifier) -> tuple[str, str]:
    if not cpu_has_bfloat16():
        return "32-true", "this CPU has no bfloat16"
    if is_from_torchrun() or config.num_nodes != 1 or config.devices not in ("auto", 1, "1"):
        return "32-true", "started by torchrun or for several processes"  # which might measure differently
    try:
        full, half = try_precisions(module.network, module.hparams["image_size"])
    except (RuntimeError, ValueError, AssertionError):  # of which check_before tells more
        return "32-true", ""
    faster = full / half
    measured = f"a step takes {1e3 * half:.0f} ms in bfloat16, {1e3 * full:.0f} ms in float32"
    return "bf16-mixed" if faster >= _WORTHWHILE else "32-true", measured

"""Writes the scores of a run as JSON and prints them as a short table."""

import json
from pathlib import Path
from typing import Any

from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint

from callbacks.run_folder import run_folder
from runs.whole_file import write_atomically

_TITLES = {"accuracy": "accuracy", "top5_accuracy": "top-5", "precision": "precision", "recall": "recall", "f1": "F1"}

_MACRO = ("precision", "recall", "f1")


class ScoreFile(Callback):
    """Writes ``test_scores.json``, ``val_scores.json`` and, at the end of training, ``fit_scores.json``.

    Args:
        enabled: Off switch.
    """

    def __init__(self, enabled: bool = True) -> None:
        self.enabled = enabled

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write and print the test's scores.

        Args:
            trainer: The trainer.
            pl_module: The classifier.
        """
        self._report(trainer, "test", {"checkpoint": trainer.ckpt_path})

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write and print the scores of ``validate``; arguments as in ``on_test_end``."""
        if trainer.state.fn == "validate":
            self._report(trainer, "val", {"checkpoint": trainer.ckpt_path})

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write and print the last validation's scores and the best checkpoint; arguments as in ``on_test_end``."""
        facts: dict[str, Any] = {"epochs": trainer.current_epoch}
        checkpoint = trainer.checkpoint_callback
        if isinstance(checkpoint, ModelCheckpoint) and checkpoint.best_model_score is not None:
            facts |= {
                "checkpoint": checkpoint.best_model_path,
                f"best {checkpoint.monitor}": float(checkpoint.best_model_score),
            }
        self._report(trainer, "fit", facts)

    def _report(self, trainer: Trainer, stage: str, facts: dict[str, Any]) -> None:
        folder = run_folder(trainer)
        if not self.enabled or not trainer.is_global_zero or trainer.fast_dev_run:  # type: ignore[attr-defined]
            return
        scores = {name: _plain(name, float(value)) for name, value in sorted(trainer.callback_metrics.items())}
        module: Any = trainer.lightning_module
        write_atomically(folder / f"{stage}_scores.json", json.dumps({**facts, **scores}, indent=2) + "\n")
        lines = [
            *_table("val" if stage == "fit" else stage, scores, len(module.class_names)),
            *(
                f"{name}: {value:.4f}" if isinstance(value, float) else f"{name}: {value}"
                for name, value in facts.items()
            ),
        ]
        lines += [f"reports: {_shortest(folder)}", f"tensorboard --logdir {_shortest(folder.parent.parent)}"]
        print("\n" + "\n".join(lines), flush=True)  # noqa: T201 - the result that the user waits for


def _shortest(folder: Path) -> Path:
    return folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder


def _plain(name: str, value: float) -> float:
    return int(value) if name.endswith("/classes") else value


def _table(stage: str, scores: dict[str, float], num_classes: int) -> list[str]:
    """Lay the plain scores and those with test-time augmentation out side by side."""
    stages = [name for name in (stage, f"{stage}_tta") if f"{name}/accuracy" in scores]
    averaged = list(dict.fromkeys(int(scores[f"{name}/classes"]) for name in stages))
    over = "" if averaged == [num_classes] else f" (macro, {' and '.join(map(str, averaged))} of {num_classes} classes)"
    titles = {name: title + over * (name in _MACRO) for name, title in _TITLES.items()}
    width = max(10, *map(len, titles.values()))
    lines = [f"{stage:{width}}" + "".join(f"{'TTA' if name.endswith('_tta') else 'plain':>8}" for name in stages)]
    for name, title in titles.items():
        lines.append(f"{title:{width}}" + "".join(f"{scores[f'{column}/{name}']:8.4f}" for column in stages))
    return lines if stages else []

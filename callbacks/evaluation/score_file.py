"""Writes the scores of a run as JSON and prints them as a short table."""

import json
import shlex
from pathlib import Path
from typing import Any, NamedTuple

from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import TensorBoardLogger

from callbacks.run_folder import run_folder
from callbacks.saving.checkpoint import Checkpoint
from runs.commands import address, next_command
from runs.finding import run_of
from runs.whole_file import write_atomically

_TITLES = {"accuracy": "accuracy", "top5_accuracy": "top-5", "precision": "precision", "recall": "recall", "f1": "F1"}

_MACRO = ("precision", "recall", "f1")


class Outcome(NamedTuple):
    """The scores of a run's best state.

    Attributes:
        heading: Which state of the run has these scores.
        facts: What else to know, for the file.
        scores: The scores by logged name.
        resumable: Whether the run's folder holds a checkpoint that the next command finds.
    """

    heading: str
    facts: dict[str, Any]
    scores: dict[str, float]
    resumable: bool = False


class ScoreFile(Callback):
    """Writes ``test_scores.json``, ``val_scores.json`` and, at the end of training, ``fit_scores.json``.

    The last has the scores of the best checkpoint, not those of the last epoch.

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
        self._report(trainer, "test", Outcome("", {"checkpoint": trainer.ckpt_path}, _latest(trainer)))

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write and print the scores of ``validate``; arguments as in ``on_test_end``."""
        if trainer.state.fn == "validate":
            self._report(trainer, "val", Outcome("", {"checkpoint": trainer.ckpt_path}, _latest(trainer)))

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write and print the best epoch's scores, and the command that comes next; arguments as in ``on_test_end``."""
        self._report(trainer, "fit", fit_outcome(trainer))

    def _report(self, trainer: Trainer, stage: str, outcome: Outcome) -> None:
        folder = run_folder(trainer)
        if not self.enabled or not trainer.is_global_zero or trainer.fast_dev_run:  # type: ignore[attr-defined]
            return
        module: Any = trainer.lightning_module
        content = {**outcome.facts, **_plain(outcome.scores)}
        write_atomically(folder / f"{stage}_scores.json", json.dumps(content, indent=2) + "\n")
        lines = [outcome.heading] if outcome.heading else []
        lines += _table("val" if stage == "fit" else stage, outcome.scores, len(module.class_names))
        if outcome.facts.get("checkpoint"):
            lines.append(f"checkpoint: {address(Path(outcome.facts['checkpoint']))}")
        lines.append(f"reports: {address(folder)}")
        if any(isinstance(logger, TensorBoardLogger) for logger in trainer.loggers):
            run = run_of(folder)
            lines.append(f"tensorboard --logdir {shlex.quote(address(run.folder.parents[1] if run else folder))}")
        if outcome.resumable:
            lines.append(f"next: {_next(trainer.datamodule, folder)}")  # type: ignore[attr-defined]
        print("\n" + "\n".join(lines), flush=True)  # noqa: T201 - the result that the user waits for


def _next(data: Any, folder: Path) -> str:
    """Choose a command that the data allow."""
    if getattr(data, "has_test", True):
        return next_command("test", folder)
    if getattr(data, "not_validated", None):
        return f"{next_command('predict', folder)} PHOTO..."
    return next_command("validate", folder)


def fit_outcome(trainer: Trainer) -> Outcome:
    """Find the best state of a training that has ended, or what is known instead.

    Args:
        trainer: The trainer.

    Returns:
        What to tell of it.
    """
    epochs = trainer.current_epoch
    made = f"{epochs} epoch{'' if epochs == 1 else 's'}"
    facts: dict[str, Any] = {"epochs": epochs}
    own = next((callback for callback in trainer.checkpoint_callbacks if isinstance(callback, Checkpoint)), None)
    found = own or trainer.checkpoint_callback
    if not isinstance(found, ModelCheckpoint) or found.best_model_score is None:
        last = own.last_model_path if own else ""
        heading = f"after {made}" + (f", none with a {own.monitor} to be the best by" if own else "")
        return Outcome(heading, {**facts, "checkpoint": last} if last else facts, _latest(trainer), bool(last))
    best = float(found.best_model_score)
    known = {f"best {found.monitor}": best}
    if own is None:  # one of Lightning's callbacks, which keep one score alone
        heading, scores = f"best of {made}", {str(found.monitor): best}
    else:
        heading, scores = f"best of {made}", own.best_scores
        if own.best_epoch is not None:
            number = own.best_epoch + 1
            facts["best epoch"] = number
            heading = f"best epoch {number} of {epochs}"
    facts |= {"checkpoint": found.best_model_path, **known}
    return Outcome(f"{heading}, {found.monitor} {best:.4f}", facts, scores, own is not None)


def _latest(trainer: Trainer) -> dict[str, float]:
    return {name: float(value) for name, value in sorted(trainer.callback_metrics.items())}


def _plain(scores: dict[str, float]) -> dict[str, float]:
    return {name: int(value) if name.endswith("/classes") else value for name, value in scores.items()}


def _table(stage: str, scores: dict[str, float], num_classes: int) -> list[str]:
    """Format the plain scores and those with test-time augmentation side by side, as far as they are known."""
    known = [name for name in _TITLES if f"{stage}/{name}" in scores]
    if not known:
        return []
    stages = [name for name in (stage, f"{stage}_tta") if all(f"{name}/{score}" in scores for score in known)]
    averaged = list(dict.fromkeys(int(scores.get(f"{name}/classes", num_classes)) for name in stages))
    over = "" if averaged == [num_classes] else f" (macro, {' and '.join(map(str, averaged))} of {num_classes} classes)"
    titles = {name: _TITLES[name] + over * (name in _MACRO) for name in known}
    width = max(10, *map(len, titles.values()))
    lines = [f"{stage:{width}}" + "".join(f"{'TTA' if name.endswith('_tta') else 'plain':>8}" for name in stages)]
    for name, title in titles.items():
        lines.append(f"{title:{width}}" + "".join(f"{scores[f'{column}/{name}']:8.4f}" for column in stages))
    return lines

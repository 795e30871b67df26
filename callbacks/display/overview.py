"""Arranges TensorBoard: charts of all runs, a table of settings and scores, config and command as text."""

from collections.abc import Mapping
from typing import Any

import yaml
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger

from callbacks.run_config import RunConfig
from runs.commands import typed_command

_CHARTS = {
    "all runs": {
        "losses": ["Multiline", ["^train/loss$", "^val/loss$"]],
        "scores": ["Multiline", ["^train/accuracy$", "^val/accuracy$", "^val/f1$", "^val/top5_accuracy$"]],
        "learning rates": ["Multiline", ["^lr/.*"]],
    }
}
_SCORES = ("val/accuracy", "val/f1", "val/loss", "test/accuracy", "test/f1", "test_tta/accuracy", "test_tta/f1")
_SETTINGS = (
    *("seed_everything", "trainer.max_epochs", "trainer.accumulate_grad_batches", "trainer.precision"),
    *("trainer.gradient_clip_val", "ema.decay", "progressive_resizing.start", "unfreezing.patience"),
    *("distillation.teacher", "distillation.weight"),
)


class Overview(Callback):
    """Adds to TensorBoard what makes runs comparable at a glance.

    "Custom scalars" has losses, scores and learning rates in one chart each, over all runs that are shown; "HParams" a
    table of the settings and the last scores of all runs and tests; "Text" the config and the command.

    Args:
        enabled: Off switch.
    """

    def __init__(self, enabled: bool = True) -> None:
        self.enabled = enabled

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write them when a run begins or continues.

        Args:
            trainer: The trainer.
            pl_module: The classifier.
        """
        self._write(trainer, pl_module, charts=True)

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write table and text for a test; arguments as in ``on_fit_start``."""
        self._write(trainer, pl_module, charts=False)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write table and text for ``validate``; arguments as in ``on_fit_start``."""
        if trainer.state.fn == "validate":
            self._write(trainer, pl_module, charts=False)

    def _write(self, trainer: Trainer, module: LightningModule, charts: bool) -> None:
        if not self.enabled or not trainer.is_global_zero:
            return
        callbacks = trainer.callbacks  # type: ignore[attr-defined]
        config = next((callback.config for callback in callbacks if isinstance(callback, RunConfig)), "")
        for logger in trainer.loggers:
            if not isinstance(logger, TensorBoardLogger):
                continue
            from torch.utils.tensorboard.summary import hparams  # not before it is needed

            board = logger.experiment
            if charts:
                board.add_custom_scalars(_CHARTS)
            known = {**settings(module.hparams), **further_settings(config)}
            table = hparams(known, dict.fromkeys(_SCORES, 0.0))  # type: ignore[no-untyped-call]
            for summary in table:
                board._get_file_writer().add_summary(summary)
            board.add_text("command", f"    {typed_command()}", trainer.global_step)
            if config:
                board.add_text("config", f"```yaml\n{config}\n```", trainer.global_step)


def settings(values: Mapping[str, Any]) -> dict[str, Any]:
    """Choose what a table of settings can show.

    Args:
        values: The classifier's arguments.

    Returns:
        Those that are numbers, texts or flags.
    """
    return {name: value for name, value in values.items() if isinstance(value, int | float | str)}


def further_settings(config: str) -> dict[str, Any]:
    """Choose what else of a config runs are compared by.

    Args:
        config: The config as YAML, perhaps nothing.

    Returns:
        The seed, the data's settings and those of other parts that change a training, by dotted key.
    """
    content = yaml.safe_load(config) or {}
    chosen = {f"data.{name}": value for name, value in ((content.get("data") or {}).get("init_args") or {}).items()}
    for key in _SETTINGS:
        section, _, name = key.rpartition(".")
        chosen[key] = (content.get(section) or {}).get(name) if section else content.get(name)
    return settings(chosen)

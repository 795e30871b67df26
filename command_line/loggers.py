"""Puts the files of loggers into the folder of a run, and lets them continue where a resumed run continues."""

import csv
import io
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from jsonargparse import Namespace, dict_to_namespace
from lightning import Trainer
from lightning.pytorch.cli import LightningArgumentParser
from lightning.pytorch.loggers import CSVLogger, Logger, WandbLogger

from runs.whole_file import write_atomically

_LOCAL = ("TensorBoardLogger", "CSVLogger")  # those whose files lie in save_dir/name/version
_UNNAMED = (None, "", "lightning_logs")
DEFAULT_FOLDER = "logs"
TENSORBOARD = "lightning.pytorch.loggers.TensorBoardLogger"


def logger_configs(trainer: Namespace) -> list[Namespace]:
    """List the loggers of a config; ``true`` and ``null`` stand for TensorBoard's.

    Args:
        trainer: The arguments of the trainer; ``logger`` is changed in place.

    Returns:
        The configs of the loggers, each with ``class_path`` and ``init_args``.
    """
    if trainer.logger is True or (trainer.logger is None and not trainer.barebones):
        arguments = {"save_dir": DEFAULT_FOLDER, "name": None, "version": None, "default_hp_metric": False}
        trainer.logger = dict_to_namespace({"class_path": TENSORBOARD, "init_args": arguments})
    found = trainer.logger if isinstance(trainer.logger, list) else [trainer.logger]
    return [config for config in found if isinstance(config, Namespace)]


def asked_for(loggers: Iterable[Namespace], argument: str) -> Any:
    """Read an argument of the loggers that write local files.

    Args:
        loggers: Their configs.
        argument: ``save_dir``, ``name`` or ``version``.

    Returns:
        The first value that isn't the default; None if there is none.
    """
    defaults = (*_UNNAMED, DEFAULT_FOLDER) if argument == "save_dir" else _UNNAMED
    values = (config.init_args.get(argument) for config in loggers if _kind(config) in _LOCAL)
    return next((str(value) if argument == "save_dir" else value for value in values if value not in defaults), None)


def build(configs: list[Namespace]) -> list[Logger]:
    """Build loggers.

    Args:
        configs: Their configs.

    Returns:
        The loggers.
    """
    parser = LightningArgumentParser()
    parser.add_argument("--loggers", type=list[Logger])
    loggers: list[Logger] = parser.instantiate(parser.parse_object({"loggers": configs})).loggers
    return loggers


def place(
    loggers: Iterable[Namespace], folder: Path, names: tuple[str, str, str], ids: list[list[str]], step: int | None
) -> None:
    """Send the files of loggers into a folder, and name what they report to services.

    Args:
        loggers: Their configs; changed in place.
        folder: The folder of the run or the evaluation.
        names: The folder of all runs, the name of the experiment, and that of the run or the evaluation in it.
        ids: Class and id of the loggers that have begun the run, in their order; empty for a new one.
        step: The step from which a run continues; None for one that is new.
    """
    logs, experiment, name = names
    not_chosen = (".", DEFAULT_FOLDER, logs)  # the last two are left over from the logger that one takes the place of
    left = list(ids)
    for config in loggers:
        kind, arguments = _kind(config), config.init_args
        known = next((pair for pair in left if pair[0] == kind), None)
        if known:
            left.remove(known)
        if kind in _LOCAL:
            arguments.save_dir, arguments.name, arguments.version = str(folder), "", ""
            if kind == "TensorBoardLogger" and step is not None:
                arguments.purge_step = step
        elif kind == "WandbLogger":
            # else W&B keeps what it is told for up to 15 s in memory, and a killed run would lose it
            os.environ.setdefault("WANDB_X_TRANSACTION_LOG_FLUSH_INTERVAL", "0.05")
            _fill(arguments, name=name, project=experiment, id=known[1] if known else None)
            if str(arguments.get("save_dir")) in not_chosen and arguments.get("dir") is None:
                arguments.save_dir = str(folder)
        elif kind == "MLFlowLogger":
            os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")  # whoever names no server asks for local files
            if arguments.get("experiment_name") in _UNNAMED:
                arguments.experiment_name = experiment
            if str(arguments.get("save_dir")) in not_chosen:
                arguments.save_dir = "./mlruns"
            _fill(arguments, run_name=name, run_id=known[1] if known else None)


def keep_rows(loggers: Iterable[Logger], step: int) -> None:
    """Keep what a CSV logger has written before a step; Lightning's would delete the file.

    Args:
        loggers: The loggers of a run that continues, before they write anything.
        step: The step.
    """
    for logger in loggers:
        if not isinstance(logger, CSVLogger):
            continue
        file = Path(logger.log_dir) / "metrics.csv"
        kept = file.with_name(".metrics.csv.kept")
        if file.is_file():
            file.replace(kept)
        if not kept.is_file():
            continue
        with kept.open(newline="") as handle:
            reader = csv.DictReader(handle)
            rows = [row for row in reader if _before(row.get("step"), step)]
            columns = list(reader.fieldnames or [])
        writer: Any = logger.experiment
        text = io.StringIO()
        table = csv.DictWriter(text, columns, extrasaction="ignore")
        table.writeheader()
        table.writerows(rows)
        write_atomically(file, text.getvalue())
        writer.metrics_keys = columns
        kept.unlink()


def finish(trainer: Trainer) -> None:
    """End what loggers keep for the whole process, so that the next command of the process starts afresh.

    Args:
        trainer: The trainer, whose command has ended.
    """
    if any(isinstance(logger, WandbLogger) for logger in trainer.loggers):
        import wandb  # which a user of its logger has

        if wandb.run is not None:
            wandb.finish()


def _before(written: str | None, step: int) -> bool:
    try:
        return int(written or "") < step
    except ValueError:  # a line that was torn
        return False


def _fill(arguments: Namespace, **values: Any) -> None:
    """Set what wasn't set, where there is a value."""
    for key, value in values.items():
        if value is not None and arguments.get(key) is None:
            arguments[key] = value


def _kind(config: Namespace) -> str:
    return str(config.class_path).rpartition(".")[2]

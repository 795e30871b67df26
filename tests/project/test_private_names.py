"""Private names of other packages that this project uses: an upgrade that changes one fails here first."""

import argparse
import ast
import contextlib
import dataclasses
import importlib
import inspect
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import BuiltinFunctionType, MethodType, ModuleType, UnionType
from typing import Any

import jsonargparse
import pytest
import torch
from lightning import Trainer
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from lightning.fabric.utilities import load as fabric_load
from lightning.pytorch.callbacks import (
    BatchSizeFinder,
    EarlyStopping,
    LearningRateFinder,
    ModelCheckpoint,
    WeightAveraging,
)
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from lightning.pytorch.strategies import DDPStrategy, ModelParallelStrategy
from torch.distributed.checkpoint import filesystem, metadata, state_dict_loader

from runs import sharded_checkpoint
from tests.project.test_packages import MAY_IMPORT
from tests.support.checkout import CHECKOUT

SIGNATURES: list[tuple[Any, str, str]] = [
    (LightningCLI, "_run_subcommand", "self subcommand"),
    (LightningCLI, "_prepare_subcommand_parser", "self klass subcommand **kwargs"),
    (LightningCLI, "_parse_ckpt_path", "self"),
    (LightningCLI, "_set_seed", "self"),
    (LightningCLI, "_parser", "self subcommand"),
    (LightningArgumentParser, "_check_value_key", "self action value key cfg append"),
    (ModelCheckpoint, "_save_checkpoint", "self trainer filepath"),
    (ModelCheckpoint, "_save_topk_checkpoint", "self trainer monitor_candidates"),
    (ModelCheckpoint, "_update_best_and_save", "self current trainer monitor_candidates"),
    (EarlyStopping, "_should_skip_check", "self trainer"),
    (EarlyStopping, "_validate_condition_metric", "self logs"),
    (BatchSizeFinder, "scale_batch_size", "self trainer pl_module"),
    (LearningRateFinder, "lr_find", "self trainer pl_module"),
    (DDPStrategy, "configure_ddp", "self"),
    (DDPStrategy, "reduce_boolean_decision", "self decision all"),
    (ModelParallelStrategy, "load_checkpoint", "self checkpoint_path weights_only"),
    (TorchCheckpointIO, "load_checkpoint", "self path map_location weights_only"),
    (torch.serialization, "_get_layout", "name"),
    (filesystem.FileSystemReader, "__init__", "self path _extension_registry"),
    (state_dict_loader, "load", "state_dict checkpoint_id storage_reader planner process_group no_dist"),
]
ATTRIBUTES: list[tuple[str, Callable[[Path], Any], type]] = [
    ("_get_file_writer", lambda folder: TensorBoardLogger(folder).experiment, MethodType),
    ("_early_exit", lambda _: LearningRateFinder(), bool),
    ("_early_exit", lambda _: BatchSizeFinder(), bool),
    ("_max_trials", lambda _: BatchSizeFinder(), int),
    ("_average_model", lambda _: WeightAveraging(), type(None)),
    ("_latest_update_step", lambda _: WeightAveraging(), int),
    ("_new_shared", lambda _: torch.UntypedStorage, MethodType),
    ("_last_global_step_saved", lambda _: ModelCheckpoint(), int),
    ("_last_checkpoint_saved", lambda _: ModelCheckpoint(), str),
    ("metrics_keys", lambda folder: CSVLogger(folder).experiment, list),
    ("_should_accumulate", lambda _: Trainer(logger=False).fit_loop.epoch_loop, MethodType),
    ("_val_check_time_interval", lambda _: Trainer(logger=False, val_check_interval="00:00:00:01"), float),
    ("_has_run", lambda _: Trainer(logger=False).fit_loop.epoch_loop.val_loop, bool),
    ("_check_on_train_epoch_end", lambda _: EarlyStopping("val/f1", check_on_train_epoch_end=True), bool),
    ("_actions", lambda _: LightningArgumentParser(), list),
    ("_SubParsersAction", lambda _: argparse, type),
    ("_typehint", lambda _: jsonargparse.ArgumentParser().add_argument("--n", type=int | None), UnionType),
    ("_util", lambda _: jsonargparse, ModuleType),
    ("_StorageInfo", lambda _: filesystem, type),
    ("_exit", lambda _: os, BuiltinFunctionType),
]
FIELDS: list[tuple[Any, str]] = [
    (filesystem._StorageInfo, "relative_path offset length"),
    (metadata.Metadata, "state_dict_metadata storage_data planner_data"),
    (metadata.TensorStorageMetadata, "properties size"),
    (metadata.TensorProperties, "dtype"),
    (metadata.MetadataIndex, "fqn"),
    (metadata.BytesStorageMetadata, ""),
]
PER_SUBCOMMAND = "_subcommand_method_arguments"
LISTED = {name for _, name, _ in SIGNATURES} | {name for name, _, _ in ATTRIBUTES} | {PER_SUBCOMMAND}


@pytest.mark.parametrize(("owner", "name", "parameters"), SIGNATURES, ids=[name for _, name, _ in SIGNATURES])
def test_methods_take_what_they_took(owner: Any, name: str, parameters: str) -> None:
    given = inspect.signature(getattr(owner, name)).parameters.values()
    marks: dict[Any, str] = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    assert " ".join(marks.get(parameter.kind, "") + parameter.name for parameter in given) == parameters


@pytest.mark.parametrize(("name", "make", "kind"), ATTRIBUTES, ids=[name for name, _, _ in ATTRIBUTES])
def test_attributes_are_what_they_were(name: str, make: Callable[[Path], Any], kind: type, tmp_path: Path) -> None:
    assert isinstance(getattr(make(tmp_path), name), kind)


def test_fused_optimizers_say_that_they_scale_gradients() -> None:
    assert torch.optim.AdamW([torch.zeros(1)], fused=True)._step_supports_amp_scaling


def test_tensorboards_logger_hands_the_step_to_purge_from_on(tmp_path: Path) -> None:
    assert TensorBoardLogger(tmp_path, purge_step=3)._kwargs["purge_step"] == 3


def test_the_files_that_are_being_read_are_known(tmp_path: Path) -> None:
    (tmp_path / "link.yaml").symlink_to(tmp_path / "file.yaml")
    (tmp_path / "file.yaml").write_text("")
    path = jsonargparse.typing.Path_fr(str(tmp_path / "link.yaml"))
    with jsonargparse._util.load_config_path_context(path):
        read = jsonargparse._util.config_load_stack.get()
    assert read == ((str((tmp_path / "file.yaml").resolve()), str(tmp_path / "link.yaml")),)
    assert jsonargparse._util.config_load_stack.get() == ()


def test_the_command_line_knows_the_arguments_of_each_subcommand() -> None:
    assert f"self.{PER_SUBCOMMAND}: dict[str, list[str]]" in inspect.getsource(LightningCLI)


@pytest.mark.parametrize(("kind", "names"), FIELDS, ids=[kind.__name__ for kind, _ in FIELDS])
def test_the_table_of_contents_of_a_sharded_checkpoint_holds_what_is_read(kind: Any, names: str) -> None:
    assert {field.name for field in dataclasses.fields(kind)} >= set(names.split())


def test_the_rest_of_a_sharded_checkpoint_lies_where_lightning_puts_it() -> None:
    assert sharded_checkpoint._REST == fabric_load._METADATA_FILENAME


def test_loops_count_and_save_what_checkpoints_correct(tmp_path: Path) -> None:
    trainer = Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, default_root_dir=tmp_path)
    loop = trainer.fit_loop.epoch_loop
    assert list(inspect.signature(trainer.fit_loop.setup_data).parameters) == []
    assert list(inspect.signature(loop._should_check_val_fx).parameters) == ["data_fetcher"]
    assert loop.batch_idx == -1
    for progress in (loop.batch_progress, loop.val_loop.batch_progress):
        assert progress.is_last_batch is False
        for counts in (progress.total, progress.current):
            assert counts.state_dict() == dict.fromkeys(("ready", "started", "processed", "completed"), 0)
    saved = trainer.fit_loop.state_dict()
    for name in ("epoch_loop.batch_progress", "epoch_loop.val_loop.batch_progress"):
        assert saved[name].keys() == {"total", "current", "is_last_batch"}
    assert saved["epoch_loop.state_dict"] == {"_batches_that_stepped": 0}
    loop.load_state_dict({**loop.state_dict(), "state_dict": {"_batches_that_stepped": 3, "moment": "of ours"}})
    assert loop.restarting is True
    assert loop._batches_that_stepped == 3


def test_no_other_private_name_is_used() -> None:
    files = [path for package in MAY_IMPORT for path in sorted((CHECKOUT / package).rglob("*.py"))]
    trees = {path: ast.parse(path.read_text()) for path in files}
    own = {name for tree in trees.values() for name in _defined(tree)}
    used = {name: path for path, tree in trees.items() for name in _used(tree) if name not in own}
    for path, tree in trees.items():
        module = importlib.import_module(".".join(path.relative_to(CHECKOUT).with_suffix("").parts))
        for node in tree.body:
            if isinstance(node, ast.ClassDef):
                inherited = _private_names_of_bases(getattr(module, node.name))
                used |= dict.fromkeys({*_defined(node), *_used(node)} & inherited, path)
    private = {name for name in LISTED if name.startswith("_") and not name.startswith("__")}
    assert used.keys() - private == set(), {name: used[name] for name in used.keys() - private}
    assert private - used.keys() == set()


def _is_private(name: str) -> bool:
    return re.fullmatch(r"_[A-Za-z]\w*", name) is not None


def _defined(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and _is_private(node.name):
            yield node.name
        if isinstance(node, ast.Attribute | ast.Name) and isinstance(node.ctx, ast.Store):
            name = node.attr if isinstance(node, ast.Attribute) else node.id
            if _is_private(name):
                yield name


def _used(tree: ast.AST) -> Iterator[str]:
    """Find attributes, imports, and pairs of strings that name a module and what is in it."""
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Attribute):
            names = [node.attr]
        elif isinstance(node, ast.ImportFrom):
            names = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [part for alias in node.names for part in alias.name.split(".")]
        elif isinstance(node, ast.Tuple) and len(node.elts) == 2:
            name = node.elts[1]
            names = [name.value] if isinstance(name, ast.Constant) and isinstance(name.value, str) else []
        yield from filter(_is_private, names)


def _private_names_of_bases(kind: type) -> set[str]:
    """Find the private methods of a class's foreign bases, and the private attributes that they set."""
    names: set[str] = set()
    for base in kind.__mro__[1:]:
        package = base.__module__.partition(".")[0]
        if package in {*MAY_IMPORT, "builtins", "typing", "abc"}:
            continue
        names |= {name for name in vars(base) if not name.startswith("_abc")}
        with contextlib.suppress(OSError, TypeError):  # written in C
            names |= set(re.findall(r"\bself\.(_[a-z]\w*)", inspect.getsource(base)))
    return {name for name in names if _is_private(name)}

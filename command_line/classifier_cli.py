"""Lightning's command line with this project's callbacks, in which no run is mistaken for another."""

import warnings
from contextlib import ExitStack
from tempfile import TemporaryDirectory
from typing import Any

from jsonargparse import Namespace
from lightning import Callback, Trainer
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.cli import ArgsType, LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import Logger
from lightning.pytorch.loggers.logger import DummyLogger
from lightning.pytorch.utilities import rank_zero_info

from callbacks import RunConfig, RunHistory
from command_line import loggers
from command_line.arguments.options import STARTING_TRAININGS
from command_line.arguments.paths import expand_paths
from command_line.arguments.request import DATA_COMMANDS, RUN_COMMANDS, TOOLS, WORDS, Request
from command_line.before_run import check_before, forget_monitors, is_search
from command_line.commands import Commands
from command_line.defaults import CALLBACKS, RUN_DEFAULTS, add_evaluation_options
from command_line.hardware.choice import choose, describe
from command_line.hardware.torchrun_processes import started_processes
from command_line.parsing.type_errors import readable_mistakes
from command_line.place import claim, hold, is_first_process
from command_line.remote_runs.places import as_typed, keep_here
from command_line.remote_runs.same_checkpoint import same_checkpoint
from command_line.start import Start
from command_line.starting_point import find_start
from command_line.trainings.refused_options import refuse_names
from command_line.trainings.typed import Typed, settings_of
from datamodules import ImageDataModule
from lightning_modules import ImageClassifier
from lightning_modules.sharding import accept_sharded
from runs.commands import program


class ClassifierCLI(LightningCLI):
    """LightningCLI around one run, which is found before anything is built.

    Args:
        *args: As those of ``LightningCLI``.
        request: What was typed.
        **kwargs: As those of ``LightningCLI``.
    """

    def __init__(self, *args: Any, request: Request, **kwargs: Any) -> None:
        self.request = request
        self.start = Start()
        self.typed: Any = None
        self.settings: dict[str, Any] = {}
        self.loggers: list[Namespace] = []
        with ExitStack() as self.afterwards:
            super().__init__(*args, **kwargs)

    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        """Parse the arguments of the request.

        Args:
            parser: The parser.
            args: Nothing; the request has the arguments.
        """
        self.config = parser.parse_args(self.request.arguments)
        command, config = str(self.config.subcommand), self.config[self.config.subcommand]
        refuse_names(command, self.request.arguments[1:], str(config.get("output")))
        if command in STARTING_TRAININGS:
            self.settings = settings_of(config)
        expand_paths(config)
        keep_here(config, command)

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add the callbacks under names of their own, so that no config can lose them, and link data to model.

        Args:
            parser: The parser of a subcommand.
        """
        for name, callback in CALLBACKS.items():
            parser.add_lightning_class_args(callback, name)
        parser.set_defaults({"data": {"class_path": "datamodules.ToyCarsDataModule"}})
        names = lambda data: self.start.class_names(data, self.subcommand == "fit")  # noqa: E731
        size = lambda data: self.start.image_size(data, self.subcommand == "fit")  # noqa: E731
        parser.link_arguments("data", "model.class_names", compute_fn=names, apply_on="instantiate")
        parser.link_arguments("data", "model.image_size", compute_fn=size, apply_on="instantiate")
        parser.link_arguments("data.preprocessing", "model.preprocessing", apply_on="instantiate")
        parser.add_argument("--logs", type=str | None, default=None, help="Folder of all runs (default: logs).")
        parser.add_argument("--experiment", type=str | None, default=None, help="Folder of the runs in it.")
        parser.add_argument("--name", type=str | None, default=None, help="Name of the run (default: version_N).")

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        """List the commands, and which of their arguments are not options.

        Returns:
            Those of Lightning and our own.
        """
        tools = {name: {"words"} for name in TOOLS}
        return {**LightningCLI.subcommands(), **{name: {"datamodule", "typed"} for name in DATA_COMMANDS}, **tools}

    def before_instantiate_classes(self) -> None:
        """Find the run, and keep its config as it was typed for ``RunConfig``."""
        command = str(self.subcommand)
        if command not in RUN_COMMANDS:
            return
        config = self.config[command]
        weights = config.model.weights
        self.start = find_start(config, command, self.request)
        self.typed = config.clone()
        self.typed["ckpt_path"] = None  # a later command must not take an old one
        self.typed["model"]["weights"] = weights  # with which another run may begin; a checkpoint brings its own
        as_typed(self.typed)
        if command != "fit":
            forget_monitors(config)

    def instantiate_classes(self) -> None:
        """Build everything, or for the commands that look at the data alone, the data."""
        if self.subcommand in TOOLS:
            return
        config = self.config[self.subcommand]
        with readable_mistakes():
            if self.subcommand in DATA_COMMANDS:
                parser = LightningArgumentParser()  # the whole one would build the model, and fetch its weights
                parser.add_lightning_class_args(ImageDataModule, "data", subclass_mode=True)
                self.data = parser.instantiate(parser.parse_object({"data": config.data})).data
                return
            self.loggers, config.trainer.logger = loggers.logger_configs(config.trainer), False
            super().instantiate_classes()
        if self.request.photographs:
            self.datamodule.predict_dir = [*self.request.photographs]

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Build the trainer, so that it writes into the folder of the run and can load what it is to start from.

        Args:
            **kwargs: Arguments of ``Trainer``.

        Returns:
            The trainer.
        """
        config, training = self.config[self.subcommand], self.subcommand == "fit"
        assert isinstance(self.model, ImageClassifier)
        assert isinstance(self.datamodule, ImageDataModule)
        search, blind = training and is_search(config), training and self.datamodule.not_validated
        kwargs |= started_processes(config.trainer) | ({"limit_val_batches": 0} if blind else {})
        if search and kwargs.get("num_nodes", config.trainer.num_nodes) == 1:  # a search that fails leaves files there
            kwargs["default_root_dir"] = self.afterwards.enter_context(TemporaryDirectory())
        chosen = choose(config.trainer, self.model, training)
        trainer = super().instantiate_trainer(**kwargs, **chosen.arguments(), logger=False)
        assert isinstance(trainer, Commands)
        accept_sharded(trainer.strategy, self.start.checkpoint, str(self.subcommand))
        check_before(str(self.subcommand), config, trainer, self.model, self.datamodule)
        if training and (line := describe(chosen, trainer, self.model, self.datamodule)):
            rank_zero_info(line)
            warnings.filterwarnings("ignore", message=".*does not have many workers")
        if search:
            trainer.folder, trainer.loggers = self.start.experiment, [DummyLogger()]
            return trainer
        claimed, start, resumed = self._claim(), self.start, self.start.step is not None
        trainer.loggers = [DummyLogger()] if config.trainer.fast_dev_run and claimed else claimed
        callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
        callbacks.insert(0, same_checkpoint(start.checkpoint))
        if start.folder is not None:
            trainer.folder = start.folder
            self.typed.trainer.precision = chosen.precision  # what a resumption has to have in common
            config_file = RunConfig(self._parser(str(self.subcommand)).dump(self.typed, skip_unset=False), resumed)
            callbacks[:0] = [config_file, RunHistory(resumed)]
        if start.step is not None and is_first_process():
            loggers.keep_rows(trainer.loggers, start.step)
        return trainer

    def _claim(self) -> list[Logger]:
        """Make the folder, now that nothing else can be wrong, and the loggers that write into it."""
        start, config = self.start, self.config[self.subcommand]
        absent = [path for path in (start.experiment, *start.experiment.parents) if not path.exists()]
        claim(start, config, str(self.subcommand))
        if start.folder is None:  # predictions that go to a file of their own leave nothing else behind
            return []
        if config.trainer.fast_dev_run:
            return loggers.build(self.loggers)
        if is_first_process():
            self.afterwards.enter_context(hold(start, absent, training=self.subcommand == "fit"))
        if self.subcommand == "predict":  # which logs nothing
            return []
        run = start.run.name if start.run else start.folder.parent.name
        name = run if self.subcommand == "fit" else f"{run}/{start.folder.name}"
        begun = start.run.history.last("began", "resumed") if start.run and start.step is not None else None
        ids = begun.facts.get("loggers", []) if begun else []
        loggers.place(self.loggers, start.folder, (str(config.logs), start.experiment.name, name), ids, start.step)
        return loggers.build(self.loggers)

    def _run_subcommand(self, subcommand: str) -> None:
        if subcommand not in RUN_COMMANDS:
            options = {name: self.config[subcommand][name] for name in self._subcommand_method_arguments[subcommand]}
            given = [self.data] if subcommand in DATA_COMMANDS else [self.request.words]
            if subcommand in STARTING_TRAININGS:
                typed, config = self.request.arguments[1:], vars(self.config[subcommand].as_flat())
                parse = lambda more: self.parser.parse_args([subcommand, *typed, *more])  # noqa: E731
                given.append(Typed(typed, config, self.settings, parse))
            getattr(self.trainer_class, subcommand)(*given, **options)
            return
        self.afterwards.callback(loggers.finish, self.trainer)
        super()._run_subcommand(subcommand)

    def _prepare_subcommand_parser(self, klass: type, subcommand: str, **kwargs: Any) -> LightningArgumentParser:
        kwargs["usage"] = f"{program()} {subcommand} {WORDS.get(subcommand, '')}[options]"
        first = next(iter(self.request.arguments), "--help")
        if first != subcommand and (not first.startswith("-") or first in ("-h", "--help")):
            return self.init_parser(**kwargs)  # only to be listed: all options of a command take a tenth of a second
        if subcommand in TOOLS:
            parser = self.init_parser(**kwargs)
            taken = parser.add_method_arguments(klass, subcommand, skip={"words"})
            self._subcommand_method_arguments[subcommand] = taken
            return parser
        parser = super()._prepare_subcommand_parser(klass, subcommand, **kwargs)
        accepted = self._subcommand_method_arguments[subcommand]
        parser.set_defaults({name: value for name, value in RUN_DEFAULTS.items() if name in accepted})
        if subcommand in RUN_COMMANDS and subcommand != "fit":
            add_evaluation_options(parser, subcommand)
        return parser

    def _set_seed(self) -> None:
        if self.subcommand in TOOLS:
            return
        try:
            super()._set_seed()
        except ValueError as error:
            raise MisconfigurationException(f"seed_everything: {error}.") from error

    def _parse_ckpt_path(self) -> None:
        """Leave the config alone, where Lightning would put the checkpoint's arguments over the user's."""

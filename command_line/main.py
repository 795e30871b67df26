"""The command line."""

from typing import Any

import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Callback, LightningDataModule, Trainer
from lightning.pytorch.cli import ArgsType, LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_warn

from callbacks import (
    BatchSizeFinder,
    Checkpoint,
    ConfusionMatrix,
    EarlyStopping,
    ExponentialMovingAverage,
    FiniteLoss,
    GradualUnfreezing,
    LearningRateFinder,
    LearningRates,
    PredictionFile,
    Preview,
    ProgressiveResizing,
    RunConfig,
    ScoreFile,
    SkippedImages,
    TestTimeAugmentation,
)
from command_line.commands import Commands
from command_line.console import mistakes_in_one_line, quieten
from command_line.starting_point import Start, find_start
from command_line.strict_parser import StrictParser
from datamodules import ImageDataModule
from lightning_modules import ImageClassifier
from lightning_modules.networks.image_size import check_image_size
from lightning_modules.sharding import accept_sharded
from runs.checkpoints import compare_classes
from runs.class_names import ClassNames

CALLBACKS: dict[str, type[Callback]] = {
    "checkpoint": Checkpoint,
    "early_stopping": EarlyStopping,
    "unfreezing": GradualUnfreezing,
    "ema": ExponentialMovingAverage,
    "progressive_resizing": ProgressiveResizing,
    "lr_finder": LearningRateFinder,
    "batch_size_finder": BatchSizeFinder,
    "finite_loss": FiniteLoss,
    "learning_rates": LearningRates,
    "tta": TestTimeAugmentation,
    "confusion_matrix": ConfusionMatrix,
    "predictions": PredictionFile,
    "previews": Preview,
    "skipped": SkippedImages,
    "scores": ScoreFile,
}
DATA_COMMANDS = ("check", "preview", "convert")
TRAINER_DEFAULTS: dict[str, Any] = {
    "logger": {
        "class_path": "lightning.pytorch.loggers.TensorBoardLogger",
        "init_args": {"save_dir": "logs", "name": "default", "default_hp_metric": False},
    },
    "use_distributed_sampler": False,  # the data modules shard by themselves, without repeating samples
}
RUN_DEFAULTS = {
    "weights_only": True,  # a checkpoint must not run code, not even one from a URL, where Lightning would let it
    "verbose": False,  # ScoreFile prints a shorter table
    "return_predictions": False,  # PredictionFile writes them; kept as well, they would fill the memory
}


class CommandLine(LightningCLI):
    """LightningCLI with this project's callbacks, and with checkpoints that are never taken for something else."""

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add the callbacks under names of their own, so that no config can lose them, and link data to model.

        Args:
            parser: The parser of a subcommand.
        """
        for name, callback in CALLBACKS.items():
            parser.add_lightning_class_args(callback, name)
        parser.set_defaults({"data": {"class_path": "datamodules.ToyCarsDataModule"}})
        parser.link_arguments("data", "model.class_names", compute_fn=self.class_names, apply_on="instantiate")
        parser.link_arguments("data", "model.image_size", compute_fn=self.image_size, apply_on="instantiate")
        parser.link_arguments("data.preprocessing", "model.preprocessing", apply_on="instantiate")

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        """List the commands, and which of their arguments are no options.

        Returns:
            Those of Lightning and our own.
        """
        return {**LightningCLI.subcommands(), **{name: {"datamodule"} for name in DATA_COMMANDS}}

    def instantiate_classes(self) -> None:
        """Build everything, or for the commands that look at the data alone, the data."""
        if self.subcommand not in DATA_COMMANDS:
            super().instantiate_classes()
            self._forget_later_logs()
            if self.subcommand != "fit":  # which tries training images, too
                arguments = self.model.hparams
                check_image_size(self.model, arguments.backbone, self.datamodule.eval_size, arguments.image_size)
            return
        # with the data alone: the whole parser would build the model, and fetch its weights
        parser = LightningArgumentParser()
        parser.add_lightning_class_args(ImageDataModule, "data", subclass_mode=True)
        config = parser.parse_object({"data": self.config[self.subcommand].data})
        self.data = parser.instantiate(config).data

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Build the trainer, so that it can load what it is to start from.

        Args:
            **kwargs: Arguments of ``Trainer``.

        Returns:
            The trainer.
        """
        trainer = super().instantiate_trainer(**kwargs)
        accept_sharded(trainer.strategy, self.start.checkpoint, str(self.subcommand))
        return trainer

    def _forget_later_logs(self) -> None:
        """Let TensorBoard forget what a run has logged after the checkpoint from which it goes on."""
        for logger in self.trainer.loggers if self.subcommand == "fit" else []:
            if isinstance(logger, TensorBoardLogger) and self.start.step is not None:
                logger._kwargs["purge_step"] = self.start.step

    def _run_subcommand(self, subcommand: str) -> None:
        if subcommand not in DATA_COMMANDS:
            super()._run_subcommand(subcommand)
            return
        options = {name: self.config[subcommand][name] for name in self._subcommand_method_arguments[subcommand]}
        getattr(self.trainer_class, subcommand)(self.data, **options)

    def _prepare_subcommand_parser(self, klass: type, subcommand: str, **kwargs: Any) -> LightningArgumentParser:
        parser = super()._prepare_subcommand_parser(klass, subcommand, **kwargs)
        accepted = self._subcommand_method_arguments[subcommand]
        parser.set_defaults({name: value for name, value in RUN_DEFAULTS.items() if name in accepted})
        return parser

    def class_names(self, data: LightningDataModule) -> list[str]:
        """Take the class names from the data, or for all but ``fit`` from the checkpoint, and label the data by them.

        Args:
            data: The data module.

        Returns:
            The names in the order of their indices.
        """
        assert isinstance(data, ImageDataModule)
        checkpoint, stored = self.start.checkpoint, self.start.hyper_parameters
        if checkpoint and self.subcommand != "fit" and data.preprocessing != stored.get("preprocessing"):
            rank_zero_warn(
                f"Images are prepared in another way than {checkpoint} was validated with "
                f"(data.image_size {data.image_size} here, {stored.get('image_size')} there, or other steps): "
                "the config.yaml of its run has the right one."
            )
        if self.subcommand != "fit":
            data.relabel(ClassNames(stored["class_names"]).find)
            return list(stored["class_names"])
        if checkpoint:
            compare_classes(checkpoint, stored["class_names"], data.class_names)
        return data.class_names

    def image_size(self, data: LightningDataModule) -> int:
        """Take the size of training images from the data, or for all but ``fit`` from the checkpoint.

        Args:
            data: The data module.

        Returns:
            The side in pixels that the network is built for.
        """
        assert isinstance(data, ImageDataModule)
        stored: int = self.start.hyper_parameters.get("image_size", data.image_size)
        return data.image_size if self.subcommand == "fit" else stored

    def _set_seed(self) -> None:
        try:
            super()._set_seed()
        except ValueError as error:
            raise MisconfigurationException(f"seed_everything: {error}.") from error

    def _parse_ckpt_path(self) -> None:
        """Leave the config alone, where Lightning would put the checkpoint's arguments over the user's."""

    def before_instantiate_classes(self) -> None:
        """Find the checkpoint, see that it fits the config, and go on in the folder of its run."""
        command = str(self.subcommand)
        self.start = Start() if command in DATA_COMMANDS else find_start(self.config[command], command)


def main(args: ArgsType = None) -> None:
    """Run the command line.

    Args:
        args: Arguments, for calls from Python; None takes those of the process.

    Raises:
        SystemExit: With code 1 or 2, after one line on what to mend, if the user made a mistake.
    """
    quieten()
    with mistakes_in_one_line():
        CommandLine(
            ImageClassifier,
            ImageDataModule,
            trainer_class=Commands,
            subclass_mode_data=True,
            save_config_callback=RunConfig,
            seed_everything_default=42,
            trainer_defaults=TRAINER_DEFAULTS,
            parser_class=StrictParser,
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,
            args=args,
        )
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()  # gloo's threads sometimes abort an exit without it

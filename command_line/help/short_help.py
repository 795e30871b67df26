"""The first two tiers of help: all commands, and the common options of one."""

import textwrap
from collections.abc import Mapping

from command_line.arguments.options import REFUSED
from command_line.help.option_help import WIDTH, entry

_PURPOSES = {
    "Train": {
        "fit": "begin a run, or continue one",
        "repeat": "train with several seeds or on several folds",
        "sweep": "search for the best options with Optuna",
    },
    "Evaluate and use": {
        "validate": "score a run on its validation images",
        "test": "score a run on its test images; writes report.html",
        "predict": "classify photographs",
        "explain": "draw where the network looked",
        "app": "open a local page to try a run",
        "export": "write ONNX, torch.export, a folder for hubs or a static web page",
        "compare": "compare tested runs, picture by picture",
        "runs": "list all runs with their scores and settings",
    },
    "Look at the data": {
        "check": "find everything that is wrong with a data set",
        "preview": "draw training images and their augmented views",
        "doubts": "find labels that are probably wrong",
        "convert": "write a data set as chunks of many images",
    },
}
_COMMON = {
    "config": "file with options; may be given several times, the last one wins",
    "name": "name of the run (default: version_0, version_1, ...)",
    "experiment": "folder of the run below logs",
    "logs": "folder of all runs",
    "seed_everything": "seed of weights, shuffling, augmentation and dropout",
    "data.root": "folder of the data set, or a table",
    "data.image_size": "side of the square training images in pixels",
    "data.batch_size": "images per step over all devices together",
    "data.num_workers": "loading processes per device; null chooses",
    "data.on_error": "raise or skip: what to do about an image that can't be read",
    "model.backbone": "a network of torchvision (resnet50), or timm/NAME",
    "model.weights": "published weights (DEFAULT), a file, a URL, a run, or null for random ones",
    "model.optimizer": "adamw or sgd",
    "model.learning_rate": "peak learning rate of the head",
    "model.mixup_alpha": "mix pairs of training images; 0 doesn't",
    "unfreezing.every_n_epochs": "train the head first, and unfreeze a further group of layers so often",
    "ema.decay": "average the weights, 0.999 for instance",
    "early_stopping.patience": "validations without a better score before training stops",
    "tta.enabled": "score test-time augmentation beside the plain pass",
    "report.pictures": "pictures that a section of report.html shows",
    "trainer.max_epochs": "number of epochs",
    "trainer.accelerator": "cpu, gpu or auto",
    "trainer.devices": "how many devices, or auto",
    "trainer.precision": "32-true, bf16-mixed, 16-mixed or auto",
}
_OF_DATA = ("config", "data.")  # what counts for commands that look at the data alone
_OF_PREDICTION = (
    *(*_OF_DATA, "name", "experiment", "logs"),
    *("trainer.accelerator", "trainer.devices", "trainer.precision"),
)
_COUNTS = {
    **dict.fromkeys(("check", "preview", "convert"), _OF_DATA),
    **dict.fromkeys(("validate", "test"), (*_OF_PREDICTION, "tta.", "report.")),
    "predict": _OF_PREDICTION,
}
_FURTHER = {"predict": {"tta.predict": "average the answers over views of each photograph; false: the plain image"}}


def overview() -> str:
    """List the commands.

    Returns:
        The text, with ``{program}`` for the name of the program.
    """
    lines = ["usage: {program} COMMAND [RUN] [options]", ""]
    for purpose, commands in _PURPOSES.items():
        lines += [f"{purpose}:", *(f"  {name:<12}{text}" for name, text in commands.items()), ""]
    more = (
        "{program} COMMAND --help lists the common options of a command, --help all lists all of them,\n"
        "--help NAME explains one: --help data.batch_size."
    )
    shells = 'eval "$(carspotter completion bash)" completes them with the tab key; also zsh and tcsh.'
    return "\n".join([*lines, more, shells, ""])


def purpose_of(command: str) -> str:
    """Say in a few words what a command does.

    Args:
        command: The command.

    Returns:
        A clause.
    """
    return next(texts[command] for texts in _PURPOSES.values() if command in texts)


def short_help(command: str, words: str, own: Mapping[str, str]) -> str:
    """Describe a command with its own and the common options.

    Args:
        command: The command.
        words: What stands before the options.
        own: Options that it alone has, and what they mean.

    Returns:
        The text, with ``{program}`` for the name of the program.
    """
    purpose = purpose_of(command)
    lines = [f"usage: {{program}} {command} {words}[options]", "", f"{purpose[0].upper()}{purpose[1:]}.", ""]
    if own:
        lines += ["Options of this command:", *(line for item in own.items() for line in entry(*item)), ""]
    lines.append("Common options:")
    counts = _COUNTS.get(command, "")
    others = {*own, *REFUSED.get(command, ())}
    common = {name: text for name, text in _COMMON.items() if name not in others and name.startswith(counts)}
    lines += [line for item in (common | _FURTHER.get(command, {})).items() for line in entry(*item)]
    more = (
        f"{{program}} {command} --help all lists all options, and --help NAME explains one: --help data.batch_size. "
        "--print_config shows what a command would use, --trusted_only refuses configs with classes of other packages."
    )
    return "\n".join([*lines, "", *textwrap.wrap(more, WIDTH), ""])

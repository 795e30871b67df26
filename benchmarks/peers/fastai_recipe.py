"""A fine-tuning as fastai's documentation does it.

``vision_learner`` and ``fine_tune``, whose first epoch trains the head alone; pictures by ``Resize`` (random crops of
what doesn't fit in training, the centre in evaluation), augmented by ``aug_transforms()`` on the device; ``to_bf16`` on
a GPU. Tested with the last weights, as ``fine_tune`` keeps no others.

``fine_tune`` gives the body of a network of timm, which is one group of layers, a hundredth of the head's rate; the
setting ``lr_mult`` gives it another share.
"""

import time
from importlib import import_module
from typing import Any

import torch

from benchmarks.peers.given import NETWORK, Epochs, Lists, Result, Settings


def train(settings: Settings, lists: Lists) -> Result:
    """Train and test as fastai's documentation.

    Args:
        settings: What ``benchmarks/training.py`` wrote.
        lists: Paths and labels by split.

    Returns:
        When training ended, time and validation accuracy of each epoch, and the test accuracy.
    """
    vision: Any = import_module("fastai.vision.all")
    vision.set_seed(settings["seed"])
    method = vision.ResizeMethod.Squish if settings["squeeze"] else vision.ResizeMethod.Crop
    labels = dict([*lists["train"], *lists["val"], *lists["test"]])
    files, device = [path for path, _ in [*lists["train"], *lists["val"]]], torch.device(settings["device"])

    def loaders_of(size: int) -> Any:
        block = vision.DataBlock(
            blocks=(vision.ImageBlock, vision.CategoryBlock(vocab=[*range(settings["classes"])], sort=False)),
            get_y=lambda path: labels[path],
            splitter=vision.IndexSplitter([*range(len(lists["train"]), len(files))]),
            item_tfms=vision.Resize(size, method=method),
            batch_tfms=vision.aug_transforms(),
        )
        return block.dataloaders(files, bs=settings["batch_size"], num_workers=settings["workers"], device=device)

    evaluation = loaders_of(settings["eval_size"]).valid  # from which fastai also makes the loader of the test images
    loaders = vision.DataLoaders(loaders_of(settings["image_size"]).train, evaluation, device=device)
    learner = vision.vision_learner(
        loaders,
        NETWORK,
        metrics=vision.accuracy,
        path=settings["folder"],
        pretrained_cfg_overlay={"file": settings["weights"]},
    )
    if settings["device"] == "cuda":
        learner = learner.to_bf16()
    measured: Epochs = []

    class Clock(vision.Callback):  # type: ignore[misc]
        order = vision.Recorder.order + 1

        def after_epoch(self) -> None:
            measured.append((time.time(), float(self.recorder.values[-1][-1])))

    learner.add_cb(Clock())
    multiple = settings.get("lr_mult", 100)  # the default of fine_tune
    # after an epoch of the head alone
    learner.fine_tune(settings["epochs"] - 1, base_lr=settings["rate"], lr_mult=multiple)
    ended, epochs = time.time(), [*measured]
    learner.remove_cb(Clock)
    tested = learner.validate(dl=loaders.test_dl([path for path, _ in lists["test"]], with_labels=True))
    return ended, epochs, float(tested[1])

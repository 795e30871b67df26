"""A fine-tuning as transformers' example run_image_classification.py does it.

``Trainer`` with the transforms of the example (``RandomResizedCrop`` and flips; ``Resize`` and ``CenterCrop``) and the
options of its documentation (a checkpoint of each epoch, the best one loaded at the end, a log entry every ten steps),
AdamW and the linear schedule by default. Besides, workers that stay, and ``bf16`` on a GPU. Pictures come from a plain
data set in the place of the ``datasets`` library. Tested with the best checkpoint.
"""

import time
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

import torch

from benchmarks.peers.given import NETWORK, SQUEEZED, Epochs, Lists, Result, Settings


class Pictures(torch.utils.data.Dataset[Any]):
    """Photographs of a list, transformed.

    Args:
        listed: Paths and labels.
        transform: Takes a picture of Pillow's.
    """

    def __init__(self, listed: Sequence[tuple[str, int]], transform: Callable[[Any], torch.Tensor]) -> None:
        self.listed = listed
        self.transform = transform

    def __len__(self) -> int:
        return len(self.listed)

    def __getitem__(self, index: int) -> dict[str, Any]:
        from PIL import Image

        path, label = self.listed[index]
        with Image.open(path) as picture:
            return {"pixel_values": self.transform(picture.convert("RGB")), "labels": label}


def train(settings: Settings, lists: Lists) -> Result:
    """Train and test as transformers' example.

    Args:
        settings: What ``benchmarks/training.py`` wrote.
        lists: Paths and labels by split.

    Returns:
        When training ended, time and validation accuracy of each epoch, and the test accuracy.
    """
    from safetensors.torch import load_file
    from torchvision import transforms

    transformers: Any = import_module("transformers")
    timm_data: Any = import_module("timm.data")
    transformers.set_seed(settings["seed"])
    config = transformers.TimmWrapperConfig(architecture=NETWORK, num_labels=settings["classes"])
    model = transformers.TimmWrapperForImageClassification(config)
    network: Any = model.timm_model
    state = {key: value for key, value in load_file(settings["weights"]).items() if not key.startswith("classifier.")}
    missing, unexpected = network.load_state_dict(state, strict=False)
    assert {*missing} == {"classifier.weight", "classifier.bias"}, missing
    assert not unexpected, unexpected
    stats = timm_data.resolve_data_config({}, model=network)
    finish = [transforms.ToTensor(), transforms.Normalize(stats["mean"], stats["std"])]
    side, eval_side, squeeze = settings["image_size"], settings["eval_size"], settings["squeeze"]
    crop = transforms.RandomResizedCrop(side, **(SQUEEZED if squeeze else {}))
    whole = [transforms.Resize(2 * [eval_side])] if squeeze else [transforms.Resize(side), transforms.CenterCrop(side)]
    augment = transforms.Compose([crop, transforms.RandomHorizontalFlip(), *finish])
    prepare = transforms.Compose([*whole, *finish])
    measured: Epochs = []

    def compute_metrics(evaluated: Any) -> dict[str, float]:
        right = float((evaluated.predictions.argmax(axis=1) == evaluated.label_ids).mean())
        measured.append((time.time(), right))
        return {"accuracy": right}

    arguments = transformers.TrainingArguments(
        output_dir=settings["folder"],
        learning_rate=settings["rate"],
        num_train_epochs=settings["epochs"],
        per_device_train_batch_size=settings["batch_size"],
        per_device_eval_batch_size=settings["batch_size"],
        dataloader_num_workers=settings["workers"],
        dataloader_persistent_workers=settings["workers"] > 0,
        eval_strategy="epoch",
        save_strategy="epoch",
        load_best_model_at_end=True,
        metric_for_best_model="accuracy",
        save_total_limit=3,
        logging_steps=10,
        remove_unused_columns=False,
        report_to="none",
        seed=settings["seed"],
        bf16=settings["device"] == "cuda",
        use_cpu=settings["device"] == "cpu",
    )
    train, validation = Pictures(lists["train"], augment), Pictures(lists["val"], prepare)
    trainer = transformers.Trainer(
        model=model, args=arguments, train_dataset=train, eval_dataset=validation, compute_metrics=compute_metrics
    )
    trainer.train()
    ended, epochs = time.time(), [*measured]
    # not evaluate(), which keeps the loader of the validation images where workers stay
    tested = trainer.predict(Pictures(lists["test"], prepare)).metrics["test_accuracy"]
    return ended, epochs, float(tested)

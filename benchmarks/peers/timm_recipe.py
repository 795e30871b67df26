"""A fine-tuning as timm's train.py does it.

That script isn't in the package: these are its steps, from the package's parts. Its loaders (prefetcher, pinned memory
on a GPU), its transforms with their defaults (crops of 8 to 100 %, jitter 0.4, random interpolation; whole pictures
resized and cut at the centre for evaluation), label smoothing 0.1, AdamW with decay 0.05, the cosine schedule with one
epoch of warm-up, a checkpoint of each epoch by its saver. On a GPU as with ``--amp --amp-dtype bfloat16
--channels-last --pin-mem``. The loss is read every 50 steps, as often as it is printed. Tested with the best
checkpoint.
"""

import time
from contextlib import nullcontext
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from benchmarks.peers.given import NETWORK, SQUEEZED, Lists, Result, Settings

_PARTS = ("timm", "timm.data", "timm.utils", "timm.loss", "timm.optim", "timm.scheduler")  # partly without types


def train(settings: Settings, lists: Lists) -> Result:
    """Train and test as timm's train.py.

    Args:
        settings: What ``benchmarks/training.py`` wrote.
        lists: Paths and labels by split.

    Returns:
        When training ended, time and validation accuracy of each epoch, and the test accuracy.
    """
    timm, data, utils, losses, optim, schedules = map(import_module, _PARTS)
    device, squeeze, size = torch.device(settings["device"]), settings["squeeze"], settings["batch_size"]
    on_gpu = device.type == "cuda"
    memory_format = torch.channels_last if on_gpu else torch.contiguous_format
    torch.backends.cudnn.benchmark = True
    utils.random_seed(settings["seed"], 0)
    weights = {"pretrained": True, "pretrained_cfg_overlay": {"file": settings["weights"]}}
    model = timm.create_model(NETWORK, num_classes=settings["classes"], **weights).to(device)
    model = model.to(memory_format=memory_format)
    config = data.resolve_data_config({}, model=model)
    augmentation = {"scale": (0.08, 1.0), "ratio": (3 / 4, 4 / 3), "interpolation": "random"}
    preparation = {"interpolation": config["interpolation"], "crop_pct": config["crop_pct"]}
    if squeeze:
        augmentation |= SQUEEZED
        preparation |= {"crop_pct": 1.0, "crop_mode": "squash"}

    def loader(split: str) -> Any:
        training = split == "train"
        side = settings["image_size" if training else "eval_size"]
        given = {name: config[name] for name in ("mean", "std")} | (augmentation if training else preparation)
        given |= {"num_workers": settings["workers"], "pin_memory": on_gpu, "device": device}
        pictures = data.ImageDataset("", reader=lists[split])
        return data.create_loader(pictures, (3, side, side), size, is_training=training, **given)

    def forward(images: torch.Tensor) -> Any:
        with torch.autocast("cuda", torch.bfloat16) if on_gpu else nullcontext():
            return model(images.contiguous(memory_format=memory_format))

    def evaluate(batches: Any) -> float:
        model.eval()
        mean_loss, right = utils.AverageMeter(), utils.AverageMeter()
        with torch.no_grad():
            for images, labels in batches:
                output = forward(images)
                mean_loss.update(torch.nn.functional.cross_entropy(output, labels).item(), len(images))
                right.update(utils.accuracy(output, labels, (1, 5))[0].item(), len(images))
        return float(right.avg) / 100

    batches, validation = loader("train"), loader("val")
    steps = len(batches)
    optimizer = optim.create_optimizer_v2(model, opt="adamw", lr=settings["rate"], weight_decay=0.05)
    cosine = {"sched": "cosine", "min_lr": 1e-6, "warmup_lr": 1e-6, "warmup_epochs": 1, "step_on_epochs": False}
    cosine |= {"num_epochs": settings["epochs"], "updates_per_epoch": steps}
    schedule, _ = schedules.create_scheduler_v2(optimizer, **cosine)
    saver = utils.CheckpointSaver(model, optimizer, checkpoint_dir=settings["folder"], recovery_dir=settings["folder"])
    criterion, measured = losses.LabelSmoothingCrossEntropy(0.1), []
    for epoch in range(settings["epochs"]):
        model.train()
        for index, (images, labels) in enumerate(batches):
            loss = criterion(forward(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if index % 50 == 0:
                print(f"epoch {epoch}, step {index} of {steps}, loss {loss.item():.4f}", flush=True)
            schedule.step_update(num_updates=epoch * steps + index + 1)
        accuracy = evaluate(validation)
        schedule.step(epoch + 1, accuracy)
        saver.save_checkpoint(epoch, metric=accuracy)
        measured.append((time.time(), accuracy))
    ended = time.time()
    best = torch.load(Path(settings["folder"]) / "model_best.pth.tar", map_location=device, weights_only=True)
    model.load_state_dict(best["state_dict"])
    return ended, measured, evaluate(loader("test"))

"""Shows what becomes of layers unfrozen in mid-training on two devices, by three callbacks.

python -m benchmarks.unfreezing_under_ddp {carspotter,lightning,finetuning-scheduler}

Two processes on the CPU (gloo) train a MobileNetV3 whose features are unfrozen after the first of three epochs. The
largest difference between the weights of both processes is printed; it has to be 0, since DistributedDataParallel
applies the same mean gradients everywhere. ``finetuning-scheduler`` takes ``pip install finetuning-scheduler``.
"""

import argparse
import warnings

import lightning as L
import torch
from lightning.pytorch.callbacks import BackboneFinetuning
from torch.utils.data import DataLoader, TensorDataset

from callbacks import GradualUnfreezing
from lightning_modules import ImageClassifier

CLASSES = ["a", "b", "c", "d"]


class Plain(ImageClassifier):
    """The classifier with one plain optimizer, as the other callbacks expect it."""

    def __init__(self) -> None:
        super().__init__("mobilenet_v3_small", None, CLASSES, image_size=32)
        self.backbone = self.network.get_submodule("features")

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Train whatever isn't frozen.

        Returns:
            Plain SGD.
        """
        return torch.optim.SGD([tensor for tensor in self.parameters() if tensor.requires_grad], lr=0.01)


def callback_of(kind: str) -> L.Callback:
    """Make the callback in question, set to unfreeze the features after the first epoch.

    Args:
        kind: One of the choices on the command line.

    Returns:
        The callback.
    """
    if kind == "carspotter":
        return GradualUnfreezing(epochs=[1] * 5, warmup_epochs=0)
    if kind == "lightning":
        return BackboneFinetuning(unfreeze_backbone_at_epoch=1, backbone_initial_lr=0.01)
    from finetuning_scheduler import FinetuningScheduler  # type: ignore[import-not-found]

    phases = {
        0: {"params": ["network.classifier.*"], "max_transition_epoch": 1},
        1: {"params": ["network.features.*"], "max_transition_epoch": 3, "lr": 0.01},
    }
    callback: L.Callback = FinetuningScheduler(ft_schedule=phases, epoch_transitions_only=True, restore_best=False)
    return callback


def main() -> None:
    """Train, compare the processes and print the difference."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("callback", choices=["carspotter", "lightning", "finetuning-scheduler"])
    kind = parser.parse_args().callback
    warnings.filterwarnings("ignore")
    L.seed_everything(1)
    images = torch.randint(0, 256, (64, 3, 32, 32), dtype=torch.uint8)
    loader = DataLoader(TensorDataset(images, torch.randint(0, len(CLASSES), (64,))), batch_size=8, shuffle=True)
    trainer = L.Trainer(
        accelerator="cpu", devices=2, strategy="ddp", max_epochs=3, callbacks=[callback_of(kind)], logger=False,
        enable_checkpointing=kind == "finetuning-scheduler", enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    own = kind == "carspotter"
    subject = ImageClassifier("mobilenet_v3_small", None, CLASSES, image_size=32) if own else Plain()
    before = {name: tensor.detach().clone() for name, tensor in subject.named_parameters()}
    trainer.fit(subject, loader)
    worst, moved = 0.0, 0
    for name, tensor in subject.named_parameters():
        both = trainer.strategy.all_gather(tensor.detach())
        worst = max(worst, float((both[0] - both[1]).abs().max()))
        moved += not torch.equal(before[name], tensor)
    if trainer.is_global_zero:
        print(f"{kind}: {moved} of {len(before)} tensors trained; largest difference between devices {worst:.3g}")
    torch.distributed.destroy_process_group()  # gloo's threads sometimes abort an exit without it


if __name__ == "__main__":
    main()

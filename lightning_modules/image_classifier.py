"""The classifier: a backbone with a new head, trained by transfer learning."""

from collections.abc import Iterable
from typing import Any, Literal, Self

import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor
from torch.optim import Optimizer
from torchvision.transforms.v2.functional import resize

from lightning_modules.batches import Predicted, check_labels, images_and_rest, with_files
from lightning_modules.hyper_parameters import check_hyper_parameters
from lightning_modules.network_call import NetworkCall
from lightning_modules.networks import NETWORK_OPTIONS, PixelNormalization, build_backbone, layer_groups, load_weights
from lightning_modules.networks.image_size import check_image_sizes, check_trained_size
from lightning_modules.photograph_classifier import PhotographClassifier
from lightning_modules.prediction.certainty import Fitted
from lightning_modules.scoring.stage_metrics import StageMetrics
from lightning_modules.sharding import shard_network, synchronize_buffers
from lightning_modules.training.freezable_layers import FreezableLayers
from lightning_modules.training.layerwise_optimization import LayerwiseOptimization
from lightning_modules.training.step_seed import seed_step
from lightning_modules.training.training_accuracy import TrainingAccuracy
from lightning_modules.training.training_loss import TrainingLoss, expected_accuracy, labels_to_balance


class ImageClassifier(PhotographClassifier):
    """Fine-tunes an image classification network.

    Lightning's hooks stand here, once each and in the order of a run; objects without hooks do the work.

    Args:
        backbone: A classification network of torchvision (``resnet50``, ``vgg16_bn``, ``mobilenet_v3_large``, ...) or
            ``timm/NAME``.
        weights: ``DEFAULT`` or another set of weights that torchvision publishes for it (``IMAGENET1K_V1``), a file
            (a ``.pth`` state dict or ``.safetensors``) or its http(s) URL, the folder of a run or a ``.ckpt`` file (a
            class of the same name keeps its row of the head), or null for random weights.
        class_names: Names of the classes in the order of their indices; the data module gives them.
        image_size: Side of the images in pixels; the data module gives it.
        preprocessing: What evaluation does to an image, as a plain Albumentations dict; the data module gives it.
        optimizer: ``adamw`` or ``sgd``.
        learning_rate: Peak learning rate of the head.
        weight_decay: Weight decay of all parameters but those of one dimension (norms and biases).
        momentum: Momentum of SGD.
        layer_decay: Factor of the learning rate from each group of layers to the one nearer to the input.
        warmup_epochs: Epochs of linear warm-up, fractions allowed; half a cosine follows.
        label_smoothing: Share of the target spread over all classes in training (Szegedy et al., 2016).
        mixup_alpha: Mix pairs of training images by MixUp (Zhang et al., 2018); 0.2 is usual, 0 mixes none.
        cutmix_alpha: Paste parts of others by CutMix (Yun et al., 2019); 1 is usual. With both, a batch gets one.
        balanced_loss: Weigh classes by the inverse of their number of training images.
        dropout: Dropout before the head (in torchvision's ViT and Swin in all blocks); null keeps the network's own.
        stochastic_depth: Probability of leaving out the deepest block (Huang et al., 2016); null keeps the network's.
        cosine_scale: Scale of logits that are cosines (NormFace, Wang et al., 2017), such as 16; null: no cosines.
        gem_power: Power of the mean over the image (GeM, Radenović et al., 2018), 3 is usual; null: the average.
        pixel_mean: Mean of red, green and blue, in [0, 1], that the weights expect; null takes the published one.
        pixel_std: Their standard deviation, likewise.
        channels_last: Keep weights and images in the memory format that convolutions are faster in.
        fused: Let one kernel make an optimizer step where it can: on GPUs, unless gradients are scaled.
        compile: Compile the network by ``torch.compile``; that takes minutes, also when layers are unfrozen.
    """

    def __init__(
        self,
        backbone: str = "resnet50",
        weights: str | None = "DEFAULT",
        class_names: list[str] | None = None,
        image_size: int = 400,
        preprocessing: dict[str, Any] | None = None,
        optimizer: Literal["adamw", "sgd"] = "adamw",
        learning_rate: float = 1e-3,
        weight_decay: float = 0.05,
        momentum: float = 0.9,
        layer_decay: float = 1.0,
        warmup_epochs: float = 1.0,
        label_smoothing: float = 0.1,
        mixup_alpha: float = 0.0,
        cutmix_alpha: float = 0.0,
        balanced_loss: bool = False,
        dropout: float | None = None,
        stochastic_depth: float | None = None,
        cosine_scale: float | None = None,
        gem_power: float | None = None,
        pixel_mean: list[float] | None = None,
        pixel_std: list[float] | None = None,
        channels_last: bool = True,
        fused: bool = True,
        compile: bool = False,  # noqa: A002 - as PyTorch's
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        check_hyper_parameters(self.hparams)
        self.class_names = list(class_names or ())
        options = {name: self.hparams[name] for name in NETWORK_OPTIONS}
        built = build_backbone(backbone, len(self.class_names), image_size, **options)
        if weights is not None:
            load_weights(built, weights, self.class_names)
        self.normalize = PixelNormalization(pixel_mean or built.mean, pixel_std or built.std, channels_last)
        self.network = built.network.to(memory_format=torch.channels_last if channels_last else torch.contiguous_format)
        self.group_names = layer_groups(self.network, built.heads)
        self.layers = FreezableLayers(self.network, self.group_names)
        self.logits = NetworkCall(self.network, lambda: self.layers.frozen)
        self.loss = TrainingLoss(len(self.class_names), label_smoothing, mixup_alpha, cutmix_alpha)
        self.accuracy = TrainingAccuracy()
        self.metrics = StageMetrics(len(self.class_names))
        self.optimization = LayerwiseOptimization(self.layers, self.hparams)
        self.train_size: int | None = None  # to which a callback shrinks training images
        self.steps_trained = 0  # behind the loaded weights

    def setup(self, stage: str | None = None) -> None:
        """Test the network with the sizes of training and evaluation before a run begins; without a stage, on both."""
        check_image_sizes(self, self.hparams, training=stage in ("fit", None))
        self.accuracy.begin(stage)
        if self.hparams.get("compile"):
            self.logits.compile()

    def configure_model(self) -> None:
        """Shard the network where the strategy asks for it."""
        if self.device_mesh is not None:
            shard_network(self.network, self.device_mesh, self.logits.compiled)

    def forward(self, images: Tensor) -> Tensor:
        """Compute logits, (batch, classes), of images, uint8 or floats in [0, 1], (batch, 3, height, width)."""
        return self.logits(self.normalize(images))

    @property
    def frozen_groups(self) -> frozenset[str]:
        """Names of the groups that are frozen now."""
        return self.layers.frozen

    def freeze_groups(self, groups: Iterable[str]) -> None:
        """Freeze the groups of these names and no others."""
        self.layers.freeze(groups, self.global_step)
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        """Switch between training and evaluation mode; frozen layers stay in evaluation mode."""
        super().train(mode)
        if mode:
            self.layers.leave_training_mode()
        return self

    def on_fit_start(self) -> None:
        """Train, though the classifier may have been loaded for use."""
        if not self.training:
            self.train()

    def on_train_start(self) -> None:
        """Let the configured rates win over those of a resumed checkpoint; count the classes for a balanced loss."""
        self.optimization.restate(self.lr_schedulers())
        if self.hparams["balanced_loss"]:
            self.loss.balance(labels_to_balance(self.trainer), len(self.class_names), self.device)

    def on_train_epoch_start(self) -> None:
        """Start the learning rates of what a callback has just unfrozen."""
        self.optimization.restate(self.lr_schedulers())

    def on_train_batch_start(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Seed what is random in a step (dropout, stochastic depth); the devices draw differently."""
        seed_step(self.trainer.global_step, batch_idx, self.global_rank, self.device)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> dict[str, Tensor]:
        """Compute the training loss of a batch.

        Args:
            batch: Images, uint8 or floats in [0, 1] (batch, 3, height, width), and labels, int64 (batch,).
            batch_idx: Its number.

        Returns:
            The loss and the accuracy, scalars.
        """
        images, labels = batch
        check_labels(labels, self.class_names)
        if self.train_size is not None:
            images = resize(images, [self.train_size, self.train_size], antialias=True)
        pixels, targets = self.loss.mix(self.normalize(images), labels)
        logits = self.logits(pixels)
        loss: Tensor = self.loss(logits, targets, pixels)
        self.log("train/loss", loss, batch_size=len(labels))  # prog_bar=True would wait for a GPU at every step
        return {"loss": loss, "accuracy": expected_accuracy(logits.detach(), targets)}

    def on_train_batch_end(self, outputs: Any, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Count the accuracy, once the step has been made, and keep what isn't sharded the same on all devices."""
        self.accuracy.update(outputs["accuracy"], len(batch[1]))
        if self.device_mesh is not None:
            synchronize_buffers(self.network)

    def on_train_epoch_end(self) -> None:
        """Log ``train/accuracy``, at once, so that it is written before the checkpoint."""
        accuracy = self.accuracy.finish_epoch(self.device)
        self.log("train/accuracy", accuracy, logger=False)
        for logger in self.loggers:
            logger.log_metrics({"train/accuracy": float(accuracy)}, step=self.global_step - 1)

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> dict[str, Tensor]:
        """Count a validation batch; arguments as in ``training_step``, returns ``Scores`` by name."""
        return self._evaluate("val", batch)

    def test_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> dict[str, Tensor]:
        """Count a test batch; arguments as in ``training_step``, returns ``Scores`` by name."""
        return self._evaluate("test", batch)

    def _evaluate(self, stage: str, batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        check_labels(batch[1], self.class_names)
        return self.metrics.add(stage, self.scores(batch[0]), batch[1], with_views=self.views is not None)

    def on_validation_epoch_end(self) -> None:
        """Log the metrics of the validation set."""
        self._log_metrics("val")

    def on_test_epoch_end(self) -> None:
        """Log the metrics of the test set."""
        self._log_metrics("test")

    def _log_metrics(self, stage: str) -> None:
        for name, score in self.metrics.finish(stage, with_views=self.views is not None).items():
            self.log(name, score, prog_bar=name in ("val/accuracy", "val/f1"), logger=not name.endswith("/classes"))
        if self.trainer.state.fn != "fit":
            self.log("step", float(self.steps_trained))  # Lightning's name for where a logger puts the others

    def predict_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> Predicted:
        """Compute the probabilities of a batch.

        Args:
            batch: Images as in ``training_step``, alone or followed by whatever else; or what a data module of this
                project makes for ``predict``.
            batch_idx: Its number.
            dataloader_idx: Number of its loader.

        Returns:
            Probabilities, float32 (batch, classes); of a data module, files that could be read, these and the logits.

        Raises:
            MisconfigurationException: If the batch doesn't begin with images.
        """
        images, rest = images_and_rest(batch)
        return with_files(rest, self.scores(images))

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Build the optimizer and the schedule, which is stepped after every batch."""
        return self.optimization.build(self.trainer)

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Keep the ratios between the layers' rates, which the learning-rate finder doesn't know."""
        self.optimization.keep_ratios(optimizer, self.lr_schedulers())

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the accuracy so far, when layers were unfrozen and the temperature; loading needs no other weights."""
        checkpoint["training_accuracy"] = self.accuracy.state(self.device)
        checkpoint["unfrozen_at"] = dict(self.layers.unfrozen_at)
        checkpoint["calibration"] = self.fitted.as_dict()
        checkpoint["hyper_parameters"] = {**checkpoint["hyper_parameters"], "weights": None}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Continue with these, and note how long the weights were trained, so that scores stand beside the curves."""
        check_trained_size(self, self.hparams, checkpoint)
        self.accuracy.restore(checkpoint.get("training_accuracy", (0, 0)), self.global_rank)
        self.layers.restore(checkpoint)
        self.fitted = Fitted.from_checkpoint(checkpoint.get("calibration", {}))
        self.steps_trained = int(checkpoint.get("global_step", 0))

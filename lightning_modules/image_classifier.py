"""The classifier: a backbone with a new head, trained by transfer learning."""

import os
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from torch import Tensor
from torchvision.transforms.v2.functional import resize

from lightning_modules.evaluation_module import EvaluationModule
from lightning_modules.hyper_parameters import check_hyper_parameters
from lightning_modules.layer_group_module import LayerGroupModule
from lightning_modules.networks.backbones import Backbone, build_backbone
from lightning_modules.networks.image_size import check_image_size
from lightning_modules.networks.layer_groups import layer_groups
from lightning_modules.networks.pixel_normalization import PixelNormalization
from lightning_modules.networks.weights import load_weights
from lightning_modules.preprocessing import preprocess
from lightning_modules.sharding import shard_network, synchronize_buffers
from lightning_modules.training_loss import TrainingLoss, expected_accuracy
from lightning_modules.training_scores_module import TrainingScoresModule


class ImageClassifier(LayerGroupModule, TrainingScoresModule, EvaluationModule):
    """Fine-tunes an image classification network.

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
        weight_decay: Weight decay of all but norms and biases.
        momentum: Momentum of SGD.
        layer_decay: Factor of the learning rate from each group of layers to the one nearer to the input.
        warmup_epochs: Epochs of linear warm-up, fractions allowed; half a cosine follows.
        label_smoothing: Share of the target spread over all classes in training (Szegedy et al., 2016).
        mixup_alpha: Mix pairs of training images by MixUp (Zhang et al., 2018); 0.2 is usual, 0 mixes none.
        cutmix_alpha: Paste parts of other images by CutMix (Yun et al., 2019); 1 is usual, 0 pastes none. With both,
            every batch gets one of the two by chance.
        balanced_loss: Weigh classes by the inverse of their number of training images.
        dropout: Dropout before the head, where the network has it; null keeps the network's own.
        stochastic_depth: Probability of leaving out the deepest residual block in training, lower ones less often
            (Huang et al., 2016), where the network has it; null keeps the network's own.
        pixel_mean: Mean of the red, green and blue pixels in [0, 1] that the weights expect; null takes the
            published one of the network.
        pixel_std: Their standard deviation; null takes the published one.
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
        pixel_mean: list[float] | None = None,
        pixel_std: list[float] | None = None,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        check_hyper_parameters(self.hparams)
        assert class_names is not None
        self.class_names = list(class_names)
        self.train_size: int | None = None
        built = build_backbone(backbone, len(class_names), image_size, dropout, stochastic_depth)
        self.configure_network(built, weights, pixel_mean, pixel_std)
        self.configure_scores(len(class_names))
        self.loss = TrainingLoss(len(class_names), label_smoothing, mixup_alpha, cutmix_alpha)
        self.configure_training_scores()

    def configure_network(
        self,
        built: Backbone,
        weights: str | None,
        pixel_mean: list[float] | None,
        pixel_std: list[float] | None,
    ) -> None:
        """Fill in the weights, and divide the network into groups of layers.

        Args:
            built: The network with random weights.
            weights: As in the class.
            pixel_mean: As in the class.
            pixel_std: As in the class.

        Raises:
            MisconfigurationException: If the weights can't be had.
        """
        if weights is not None:
            load_weights(built, weights, self.class_names)
        self.normalize = PixelNormalization(pixel_mean or built.mean, pixel_std or built.std)
        self.network = built.network.to(memory_format=torch.channels_last)
        self.group_names = layer_groups(self.network, built.head)

    def configure_model(self) -> None:
        """Shard the network where the strategy asks for it."""
        if self.device_mesh is not None:
            shard_network(self.network, self.device_mesh)

    def forward(self, images: Tensor) -> Tensor:
        """Compute logits.

        Args:
            images: Pixels, uint8 of shape (batch, 3, height, width).

        Returns:
            Logits of shape (batch, classes).
        """
        logits: Tensor = self.network(self.normalize(images))
        return logits

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> dict[str, Tensor]:
        """Compute the training loss of a batch.

        Args:
            batch: Images, uint8 (batch, 3, height, width), and labels, int64 (batch,).
            batch_idx: Its number.

        Returns:
            The loss and the accuracy, scalars.
        """
        images, labels = batch
        if self.train_size is not None:
            images = resize(images, [self.train_size, self.train_size], antialias=True)
        pixels, targets = self.loss.mix(self.normalize(images), labels)
        logits = self.network(pixels)
        loss: Tensor = self.loss(logits, targets)
        self.log("train/loss", loss, prog_bar=True, batch_size=len(labels))
        return {"loss": loss, "accuracy": expected_accuracy(logits.detach(), targets)}

    def setup(self, stage: str) -> None:
        """Try the network on images as training and evaluation have them, before a run begins.

        Args:
            stage: ``fit``; others bring a checkpoint whose network has been tried.
        """
        if stage == "fit":
            hparams: Any = self.hparams
            evaluated = preprocess(np.zeros((1, 1, 3), np.uint8), hparams.preprocessing, hparams.image_size)
            for side in {hparams.image_size, evaluated.shape[-1]}:
                check_image_size(self, hparams.backbone, side)

    def on_fit_start(self) -> None:
        """Count the classes where the loss is to be balanced.

        Raises:
            MisconfigurationException: If there is no data module to ask.
        """
        hparams: Any = self.hparams
        if hparams.balanced_loss:
            data = self.trainer.datamodule  # type: ignore[attr-defined]
            if data is None:
                raise MisconfigurationException("model.balanced_loss needs a data module, which knows all labels.")
            self.loss.balance(data.labels("train"), len(self.class_names), self.device)

    def on_train_batch_start(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Seed what is random in a step (dropout, stochastic depth) from the run's seed and the step.

        A resumed run then draws what the uninterrupted one would have drawn; the devices draw differently.

        Args:
            batch: The batch.
            batch_idx: Its number.
        """
        seed = os.environ.get("PL_GLOBAL_SEED")
        if seed is not None:
            key = (int(seed), self.trainer.global_step, batch_idx, self.global_rank)
            torch.manual_seed(int(np.random.SeedSequence(key).generate_state(1)[0]))

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Keep what isn't sharded the same on all devices.

        Args:
            outputs: What the step returned.
            batch: The batch.
            batch_idx: Its number.
        """
        super().on_train_batch_end(outputs, batch, batch_idx)
        if self.device_mesh is not None:
            synchronize_buffers(self.network)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Note that a checkpoint brings its own weights, so that loading it needs no other file and no network.

        Args:
            checkpoint: What is about to be saved; changed in place.
        """
        super().on_save_checkpoint(checkpoint)
        checkpoint["hyper_parameters"] = {**checkpoint["hyper_parameters"], "weights": None}

    @torch.inference_mode()
    def classify(self, image: npt.NDArray[np.uint8]) -> dict[str, float]:
        """Classify one photograph, with the preprocessing that the weights were evaluated with.

        Args:
            image: The photograph, uint8 of shape (height, width, 3), RGB, of any size.

        Returns:
            Probability by class name, the most probable first.
        """
        hparams: Any = self.hparams
        pixels = preprocess(image, hparams.preprocessing, hparams.image_size).to(self.device)
        training = self.training
        self.eval()
        probabilities = self(pixels[None]).float().softmax(dim=1)[0]
        self.train(training)
        order = probabilities.argsort(descending=True).tolist()
        return {self.class_names[index]: float(probabilities[index]) for index in order}

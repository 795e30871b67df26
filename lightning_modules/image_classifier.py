"""The classifier: a backbone with a new head, trained by transfer learning."""

import os
from collections.abc import Callable, Iterable
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from torch import Tensor, nn

from lightning_modules.backbones import build_backbone
from lightning_modules.classification_scores import ClassificationScores
from lightning_modules.layer_group_module import LayerGroupModule
from lightning_modules.layer_groups import layer_groups
from lightning_modules.pixel_normalization import PixelNormalization
from lightning_modules.preprocessing import preprocess
from lightning_modules.weights import load_weights

Views: TypeAlias = Callable[[Tensor], Iterable[Tensor]]


class ImageClassifier(LayerGroupModule):
    """Fine-tunes an image classification network.

    Args:
        backbone: A classification network of torchvision (``resnet50``, ``vgg16_bn``, ``mobilenet_v3_large``, ...) or
            ``timm/NAME``.
        weights: ``DEFAULT`` or another set of weights that torchvision publishes for it (``IMAGENET1K_V1``), a local
            file (a ``.pth`` state dict or ``.safetensors``), or null for random weights.
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
        pixel_mean: list[float] | None = None,
        pixel_std: list[float] | None = None,
    ) -> None:
        super().__init__()
        if class_names is None or len(class_names) < 2:
            raise MisconfigurationException("model.class_names needs the names of two classes or more.")
        self.save_hyperparameters()
        self.class_names = list(class_names)
        self.configure_network(backbone, weights, image_size, pixel_mean, pixel_std)
        self.configure_scores()
        self.loss = nn.CrossEntropyLoss(label_smoothing=label_smoothing)
        self.views: Views | None = None
        self.steps_trained = 0

    def configure_network(
        self,
        backbone: str,
        weights: str | None,
        image_size: int,
        pixel_mean: list[float] | None,
        pixel_std: list[float] | None,
    ) -> None:
        """Build the network and fill in its weights; the arguments are those of the class.

        Raises:
            MisconfigurationException: If network or weights can't be had.
        """
        built = build_backbone(backbone, len(self.class_names), image_size)
        if weights is not None:
            load_weights(built, backbone, weights)
        self.normalize = PixelNormalization(pixel_mean or built.mean, pixel_std or built.std)
        self.network = built.network.to(memory_format=torch.channels_last)
        self.group_names = layer_groups(self.network, built.head)

    def configure_scores(self) -> None:
        """Make the metrics of each stage; those with ``_tta`` fill up only where views are installed."""
        stages = ("val", "val_tta", "test", "test_tta")
        self.scores = nn.ModuleDict({stage: ClassificationScores(len(self.class_names)) for stage in stages})

    def forward(self, images: Tensor) -> Tensor:
        """Compute logits.

        Args:
            images: Pixels, uint8 of shape (batch, 3, height, width).

        Returns:
            Logits of shape (batch, classes).
        """
        logits: Tensor = self.network(self.normalize(images))
        return logits

    def probabilities(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Compute probabilities, plainly and as the mean over the views that a callback has installed.

        Args:
            images: Pixels, uint8 of shape (batch, 3, height, width).

        Returns:
            Plain and averaged probabilities, float32 of shape (batch, classes); without views both are the same.
        """
        plain = self(images).float().softmax(dim=1)
        if self.views is None:
            return plain, plain
        averaged, count = plain.clone(), 1
        for view in self.views(images):
            averaged += self(view).float().softmax(dim=1)
            count += 1
        return plain, averaged / count

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Compute the training loss of a batch.

        Args:
            batch: Images, uint8 (batch, 3, height, width), and labels, int64 (batch,).
            batch_idx: Its number.

        Returns:
            The loss, a scalar.
        """
        images, labels = batch
        loss: Tensor = self.loss(self(images), labels)
        self.log("train/loss", loss, prog_bar=True, batch_size=len(labels))
        return loss

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

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Count a validation batch; arguments as in ``training_step``."""
        self._evaluate("val", batch)

    def test_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Count a test batch; arguments as in ``training_step``."""
        self._evaluate("test", batch)

    def predict_step(self, batch: tuple[Tensor, list[str]], batch_idx: int) -> tuple[list[str], Tensor]:
        """Classify a batch of photographs.

        Args:
            batch: Images, uint8 (batch, 3, height, width), and their files.
            batch_idx: Its number.

        Returns:
            The files and the probabilities, float32 of shape (batch, classes).
        """
        images, files = batch
        return list(files), self.probabilities(images)[1]

    def _evaluate(self, stage: str, batch: tuple[Tensor, Tensor]) -> None:
        images, labels = batch
        plain, averaged = self.probabilities(images)
        self._scores(stage).update(plain, labels)
        if self.views is not None:
            self._scores(f"{stage}_tta").update(averaged, labels)

    def _scores(self, stage: str) -> ClassificationScores:
        scores = self.scores[stage]
        assert isinstance(scores, ClassificationScores)
        return scores

    def on_validation_epoch_end(self) -> None:
        """Log the scores of the validation set."""
        self._log_scores("val")

    def on_test_epoch_end(self) -> None:
        """Log the scores of the test set."""
        self._log_scores("test")

    def _log_scores(self, stage: str) -> None:
        for name in [stage] if self.views is None else [stage, f"{stage}_tta"]:
            scores = self._scores(name)
            for key, value in scores.compute().items():
                self.log(f"{name}/{key}", value, prog_bar=name == "val" and key in ("accuracy", "f1"))
            scores.reset()
        if self.trainer.state.fn != "fit":
            self.log("step", float(self.steps_trained))  # Lightning's name for where a logger puts the others

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Note how long the weights were trained, so that their evaluation stands beside the curves of the training.

        Args:
            checkpoint: What is being loaded.
        """
        super().on_load_checkpoint(checkpoint)
        self.steps_trained = int(checkpoint.get("global_step", 0))

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

"""Uses a trained classifier in a program: loads it, and classifies photographs."""

from collections.abc import Iterator
from copy import deepcopy
from inspect import signature
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias, overload

import torch
from lightning import LightningModule
from lightning.fabric.utilities.exceptions import MisconfigurationException
from torch import Tensor, nn
from tqdm.auto import tqdm

from lightning_modules.network_call import NetworkCall
from lightning_modules.networks import PixelNormalization
from lightning_modules.prediction.certainty import Fitted
from lightning_modules.prediction.prediction_settings import PredictionSettings
from lightning_modules.prediction.preprocessing import at_scale, pipeline_of
from lightning_modules.scoring.most_probable import most_probable
from lightning_modules.scoring.stage_metrics import Scores, Views, scores_over_views
from runs.checkpoints import read_trained
from runs.finding import find_checkpoint, named_path
from runs.remote_file import is_url
from runs.training_config import training_config

if TYPE_CHECKING:
    from datamodules.photographs.given_photographs import GivenPhotograph

Answer: TypeAlias = dict[str, float]

_OF_TRAINING = ("training_accuracy", "unfrozen_at", "opened_at")  # which a new training doesn't continue
_PATIENCE = 3  # seconds before a bar shows how far a list is


class PhotographClassifier(LightningModule):
    """Base of the classifier, which has a network; this part reads checkpoints and photographs.

    Attributes:
        class_names: Names of the classes in the order of their indices.
        network: Takes normalised pixels, returns logits.
        normalize: Its input layer.
        logits: Calls the network.
        settings: How the run predicts that the classifier was loaded from.
        views: Makes further views of images to be evaluated; a callback installs it.
        fitted: What was learned from the newest validation of a training: the temperature that logits are divided by,
            so that probabilities are as high as the share of right answers, and how sure the answers were.
    """

    class_names: list[str]
    network: nn.Module
    normalize: PixelNormalization
    logits: NetworkCall
    settings = PredictionSettings()
    views: Views | None = None
    fitted = Fitted()

    @property
    def temperature(self) -> float:
        """What logits are divided by; 1 leaves probabilities as they were trained."""
        return self.fitted.temperature

    @temperature.setter
    def temperature(self, value: float) -> None:
        self.fitted = Fitted(value, self.fitted.percentiles, self.fitted.norm_order)

    @classmethod
    def load(cls, source: str | Path, which: Literal["best", "last"] = "best", eval_scale: float | None = None) -> Self:
        """Load a trained classifier for use, without running any code that a checkpoint may hold.

        Args:
            source: The folder of a run, also relative to ``logs`` as commands take it, a checkpoint file or its http(s)
                URL, or the folder of a sharded checkpoint.
            which: The checkpoint of a run's folder.
            eval_scale: Side of evaluated images as a multiple of the training size; None keeps that of the run.

        Returns:
            The classifier on the CPU, in evaluation mode, with the precision of the run. ``Trainer.fit`` may continue
            training it.

        Raises:
            MisconfigurationException: If there is no such checkpoint, it can't be read, or the scale makes no sense.
        """
        if not is_url(str(source)):
            source = named_path(str(source))
            if not source.exists():
                raise MisconfigurationException(
                    f"There is no run or checkpoint {source}: give the folder of a run, a checkpoint file or its URL."
                )
        checkpoint = find_checkpoint(str(source), which, "the checkpoint")
        content = read_trained(checkpoint)
        known = signature(cls).parameters
        stored = {key: value for key, value in content["hyper_parameters"].items() if key in known}
        with torch.random.fork_rng(devices=[]):  # weights that are drawn and replaced leave the program's numbers alone
            model = cls(**{**stored, "weights": None})
        model.on_load_checkpoint({key: value for key, value in content.items() if key not in _OF_TRAINING})
        try:
            model.load_state_dict(content["state_dict"])
        except RuntimeError as error:
            reason = str(error).splitlines()[-1].strip()
            raise MisconfigurationException(
                f"The weights of {checkpoint} don't fit the network that it names: {reason}"
            ) from error
        model.settings = PredictionSettings.from_config(training_config(checkpoint, content))
        if eval_scale is not None:
            size = model.hparams["image_size"]
            model.hparams["preprocessing"] = at_scale(model.hparams["preprocessing"], size, eval_scale)
        return model.to(model.settings.dtype).eval()

    @overload
    def classify(
        self, photographs: "GivenPhotograph", batch_size: int | None = None, num_workers: int = 0, tta: bool = False
    ) -> Answer: ...

    @overload
    def classify(
        self,
        photographs: "list[Any] | tuple[Any, ...]",
        batch_size: int | None = None,
        num_workers: int = 0,
        tta: bool = False,
    ) -> list[Answer]: ...

    def classify(
        self, photographs: Any, batch_size: int | None = None, num_workers: int = 0, tta: bool = False
    ) -> Answer | list[Answer]:
        """Classify photographs as the command ``predict`` does, with the preprocessing of the run.

        The classifier isn't changed, whatever mode it is in: threads may share it, and a training that calls this goes
        on as without it.

        Args:
            photographs: One photograph or a list of them: paths of files, pictures of Pillow, NumPy arrays of shape
                (height, width), (height, width, 1), (height, width, 3), RGB, or (height, width, 4), RGBA, or tensors
                of shape (height, width) or (1, 3 or 4 channels, height, width). Numbers are uint8, uint16 (scaled),
                floats in [0, 1] or bool. EXIF orientation is applied, and transparent pictures are laid on white.
            batch_size: Photographs of a list to classify at once; None takes ``data.batch_size`` of the run.
            num_workers: Processes that load the photographs of a list; 0 loads them in this one.
            tta: Average the probabilities over the views of test-time augmentation, with the run's ``tta`` settings.

        Returns:
            Probability by class name, the most probable first; for a list, a list of these in the same order.

        Raises:
            MisconfigurationException: If a photograph can't be read or prepared, its shape or numbers may mean several
                things, or a number is out of range.
        """
        # an import that takes two seconds, which a training with other loaders needn't wait for
        from datamodules.photographs.given_photographs import GivenPhotographs, are_several

        several = are_several(photographs)
        given = [*photographs] if several else [photographs]
        size = self.settings.batch_size if batch_size is None else batch_size
        if size < 1 or num_workers < 0:
            raise MisconfigurationException(
                f"classify takes a batch_size of 1 or more and num_workers of 0 or more, not {size} and {num_workers}."
            )
        pipeline = pipeline_of(self.hparams["preprocessing"], self.hparams["image_size"])
        name = "photographs[{}]" if several else "The photograph"
        dataset = GivenPhotographs(given, pipeline, name)
        network = in_evaluation_mode(self.network)
        answers: list[Answer] = []
        with tqdm(total=len(given), desc="classifying", unit="photo", delay=_PATIENCE, disable=None) as progress:
            for images in dataset.batches(size, num_workers if several else 0):
                answers += self._answers(network, images, tta)
                progress.update(len(images))
        return answers if several else answers[0]

    def scores(self, images: Tensor) -> Scores:
        """Evaluate images over ``views``, with the temperature.

        Args:
            images: uint8 or floats in [0, 1], of shape (batch, 3, height, width).

        Returns:
            Logits and probabilities.
        """
        return scores_over_views(self, images, self.views, self.temperature)

    @torch.inference_mode()
    def _answers(self, network: nn.Module, images: Tensor, tta: bool) -> Iterator[Answer]:
        with self.settings.autocast(self.device), self.logits.eagerly():
            probabilities = scores_over_views(
                lambda views: network(self.normalize(views)),
                images.to(self.device),
                self.settings.views if tta else None,
                self.temperature if self.settings.calibrated else 1.0,
            ).averaged
        values, order = most_probable(probabilities.cpu(), len(self.class_names))
        return (
            {self.class_names[index]: value for index, value in zip(*row, strict=True)}
            for row in zip(order.tolist(), values.tolist(), strict=True)
        )


def in_evaluation_mode(network: nn.Module) -> nn.Module:
    """Return a network that evaluates, and leave its own mode as it is.

    Args:
        network: The network.

    Returns:
        Itself, if it is in evaluation mode as a whole; else a copy that shares its parameters and statistics.
    """
    if not any(module.training for module in network.modules()):
        return network
    shared = {id(tensor): tensor for tensor in chain(network.parameters(), network.buffers())}
    return deepcopy(network, shared).eval()

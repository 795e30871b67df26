"""Shows where in an image a network looked: Grad-CAM on the last stage of any family."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from torch import Tensor, nn

_PREFIX = 8  # class tokens and registers before those of the image


class ActivationMap:
    """Computes which parts of an image speak for a class, by Grad-CAM (Selvaraju et al., 2017).

    The map is taken from the last layer that still knows places and from all of whose places the answer depends: the
    last stage of convolutional networks and of Swin, the first norm of the last block of transformers with a class
    token. That layer is found by one pass over an image. Behind it alone gradients are computed, so that a map costs
    about as much as a forward pass.

    Args:
        network: A classification network in evaluation mode, which takes normalised pixels. Nothing of it is changed.

    Raises:
        MisconfigurationException: If it is in training mode.
    """

    def __init__(self, network: nn.Module) -> None:
        if any(module.training for module in network.modules()):
            raise MisconfigurationException("The network is in training mode: call eval() before.")
        self.network = network
        self._layer: str | None = None

    def __call__(self, pixels: Tensor, classes: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Compute maps and logits.

        Args:
            pixels: Normalised images, (batch, 3, height, width).
            classes: For which class each is asked, int64 (batch,); None takes the most probable one.

        Returns:
            Maps, float32 (batch, rows, columns) from 0 to 1 in the resolution of the layer, all 0 where nothing speaks
            for the class; and logits, (batch, classes).

        Raises:
            MisconfigurationException: If no layer of the network knows places.
        """
        with torch.inference_mode(False):
            images = pixels.clone() if pixels.is_inference() else pixels
            asked = None if classes is None else classes.to(pixels.device, copy=True)
            if self._layer is None:
                self._layer = self._find_layer(images[:1])
            kept: list[Tensor] = []

            def keep(output: Tensor) -> Tensor:
                kept.append(output.detach().requires_grad_())
                torch.set_grad_enabled(True)
                return kept[-1].clone()  # which the next layer may change in place

            with torch.no_grad(), _hooked(self.network, {self._layer: keep}):
                logits: Tensor = self.network(images)
                chosen = logits.argmax(dim=1) if asked is None else asked
                score = logits.gather(1, chosen[:, None]).sum()
                (gradient,) = torch.autograd.grad(score, kept[-1])
            activation, slope = _as_grid(kept[-1].detach()), _as_grid(gradient)
        assert activation is not None
        assert slope is not None
        weights = slope.float().mean(dim=(2, 3), keepdim=True)
        maps = (weights * activation.float()).sum(dim=1).relu()
        peaks = maps.amax(dim=(1, 2), keepdim=True)
        return maps / peaks.where(peaks > 0, 1.0), logits.detach()

    def _find_layer(self, image: Tensor) -> str:
        """Find the last layer whose output is a grid, from every place of which the answer depends."""
        outputs: dict[str, Tensor] = {}

        def keep(name: str) -> Any:
            def note(output: Tensor) -> Tensor:
                outputs.pop(name, None)  # the last call counts
                outputs[name] = output.clone() if output.requires_grad else output.detach().requires_grad_()
                return outputs[name].clone()

            return note

        layers = dict(self.network.named_modules())
        with torch.enable_grad(), _hooked(self.network, {name: keep(name) for name in layers if name}):
            top = self.network(image).max(dim=1).values.sum()
            # of tokens, norms alone: what attention makes of them has other channels
            candidates = [
                (name, output)
                for name, output in outputs.items()
                if _as_grid(output) is not None and (output.dim() == 4 or "Norm" in type(layers[name]).__name__)
            ]
            inputs = [output for _, output in candidates]
            gradients = torch.autograd.grad(top, inputs, allow_unused=True) if inputs else ()
        for (name, _), gradient in zip(reversed(candidates), reversed(gradients), strict=True):
            grid = None if gradient is None else _as_grid(gradient)
            if grid is not None and bool((grid.abs().sum(dim=1) > 0).float().mean() > 0.5):
                return name
        raise MisconfigurationException(
            f"No layer of {type(self.network).__name__} knows places in an image, from which a heat map could be made."
        )


@contextmanager
def _hooked(network: nn.Module, replace: dict[str, Any]) -> Iterator[None]:
    """Let functions replace the outputs of layers, as long as these are single tensors."""
    modules = dict(network.named_modules())

    def hook(function: Any) -> Any:
        return lambda *call: function(call[-1]) if isinstance(call[-1], Tensor) else None

    handles = [modules[name].register_forward_hook(hook(function)) for name, function in replace.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _as_grid(output: Tensor) -> Tensor | None:
    """Reshape an activation to (batch, channels, rows, columns), or return None if it has no places.

    Convolutions have channels in front, Swin behind; a sequence of tokens is a square, perhaps behind others (class
    token, registers).
    """
    if output.dim() == 4:
        if output.shape[1] == output.shape[2] != output.shape[3]:
            output = output.permute(0, 3, 1, 2)
        rows, columns = output.shape[2:]
        return output if rows == columns > 1 else None  # all images are square here
    if output.dim() == 3:
        side = math.isqrt(output.shape[1])
        extra = output.shape[1] - side * side
        if side < 2 or extra > _PREFIX:
            return None
        return output[:, extra:].transpose(1, 2).reshape(len(output), -1, side, side)
    return None

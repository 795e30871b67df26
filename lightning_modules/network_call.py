"""Calls the network, compiled or not."""

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager

import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from torch import Tensor, nn

_VARIANTS = 6  # PyTorch keeps 8 of a function, and then no longer compiles it


class NetworkCall:
    """Calls a network, and if asked to, compiles it by ``torch.compile``.

    The network is compiled in place, so that names in checkpoints stay. PyTorch compiles again for each mode, size of a
    batch and state of frozen layers. An evaluation's last, smaller batch isn't worth that: it is computed without
    compilation, as is whatever else has another number of images than the first batch.

    Args:
        network: Takes normalised images.
        frozen: Tells which layers are frozen.
    """

    def __init__(self, network: nn.Module, frozen: Callable[[], Hashable]) -> None:
        self.network = network
        self.frozen = frozen
        self.compiled = False
        self._variants: set[Hashable] = set()
        self._evaluated: int | None = None  # images of the first batch
        self._eager = False

    def compile(self) -> None:
        """Compile the network when it is called for the first time."""
        if not self.compiled:
            self.network.compile(dynamic=False)
            self.compiled = True

    def __call__(self, pixels: Tensor) -> Tensor:
        """Compute logits.

        Args:
            pixels: Normalised images, (batch, 3, height, width).

        Returns:
            Logits, (batch, classes).

        Raises:
            MisconfigurationException: If the network can't be compiled.
        """
        if not self.compiled:
            logits: Tensor = self.network(pixels)
            return logits
        if self._eager:
            return self._call(pixels)
        training = self.network.training
        if not training and self._evaluated is None:
            self._evaluated = len(pixels)
        if not training and len(pixels) != self._evaluated:
            with self.eagerly():
                return self._call(pixels)
        variant = (training, torch.is_grad_enabled(), pixels.shape, pixels.dtype, self.frozen())
        if variant not in self._variants:
            if len(self._variants) >= _VARIANTS:
                torch.compiler.reset()
                self._variants.clear()
            self._variants.add(variant)
        return self._call(pixels)

    @contextmanager
    def eagerly(self) -> Iterator[None]:
        """Compute without compilation for a while; no batch of it counts as the first.

        Yields:
            Nothing.
        """
        if not self.compiled:
            yield
            return
        before, self._eager = self._eager, True
        try:
            with torch.compiler.set_stance("force_eager"):
                yield
        finally:
            self._eager = before

    def _call(self, pixels: Tensor) -> Tensor:
        try:
            logits: Tensor = self.network(pixels)
        except RuntimeError as error:
            if not type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
                raise
            reason = " ".join(" ".join(str(error).strip().splitlines()[:2]).split())
            raise MisconfigurationException(
                f"model.compile is true, but PyTorch can't compile the network here ({reason}): set it to false, or "
                "install what the message says is missing."
            ) from error
        return logits

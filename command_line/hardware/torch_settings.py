"""PyTorch's settings of the whole process, which options of the trainer change."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def restored_settings() -> Iterator[None]:
    """Restore them when a command has ended: a program or a notebook may run others after it, of other options.

    Yields:
        Nothing.
    """
    matmul = torch.get_float32_matmul_precision()
    deterministic = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    cudnn = torch.backends.cudnn
    benchmark, cudnn_deterministic = cudnn.benchmark, cudnn.deterministic
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(matmul)
        torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)
        cudnn.benchmark, cudnn.deterministic = benchmark, cudnn_deterministic

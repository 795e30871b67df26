"""Writes a classifier in the formats that other programs read."""

import io
import json
from pathlib import Path

import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException

from lightning_modules.export.exported_classifier import ExportedClassifier
from lightning_modules.export.exporter_output import reason_of, without_logs

_NAMES = ("images", "probabilities")
_OPSET = 18
_EXAMPLE = (2, 70, 90, 3)  # a batch of 1, or a square, would be taken for the only one


def to_onnx(model: ExportedClassifier, metadata: dict[str, str]) -> bytes:
    """Write a classifier as ONNX, in one file, for batches and images of any size.

    Args:
        model: The classifier.
        metadata: Texts by name, which travel with the file.

    Returns:
        The file.

    Raises:
        MisconfigurationException: If a package is missing or the network can't be written.
    """
    try:
        import onnx
        import onnxscript  # noqa: F401 - which PyTorch writes ONNX by
    except ImportError as error:
        raise MisconfigurationException(
            "export needs onnx and onnxscript, which are missing: pip install 'carspotter[export]'."
        ) from error
    dimensions = dict.fromkeys(range(3), torch.export.Dim.DYNAMIC)
    with without_logs():
        try:
            program = torch.onnx.export(
                model.eval(),
                (torch.zeros(_EXAMPLE, dtype=torch.uint8),),
                input_names=[_NAMES[0]],
                output_names=[_NAMES[1]],
                opset_version=_OPSET,
                dynamo=True,
                dynamic_shapes={_NAMES[0]: dimensions},
                verbose=False,
            )
        except Exception as error:  # whatever a network leads to
            raise MisconfigurationException(f"This network can't be written as ONNX ({reason_of(error)}).") from error
    assert program is not None
    proto = program.model_proto
    for size, name in zip(proto.graph.input[0].type.tensor_type.shape.dim, ("batch", "height", "width"), strict=False):
        size.dim_param = name
    for name, text in metadata.items():
        proto.metadata_props.add(key=name, value=text)
    onnx.checker.check_model(proto)
    written: bytes = proto.SerializeToString()
    return written


def to_torch(model: ExportedClassifier, metadata: dict[str, str]) -> bytes:
    """Write a classifier by ``torch.export``, for batches and images of any size; ``torch.export.load`` reads it.

    Args:
        model: The classifier.
        metadata: Texts by name, which travel with the file.

    Returns:
        The file.

    Raises:
        MisconfigurationException: If the network can't be written.
    """
    dimensions = dict.fromkeys(range(3), torch.export.Dim.DYNAMIC)
    with without_logs():
        try:
            program = torch.export.export(
                model.eval(), (torch.zeros(_EXAMPLE, dtype=torch.uint8),), dynamic_shapes={_NAMES[0]: dimensions}
            )
            file = io.BytesIO()
            torch.export.save(program, file, extra_files={"metadata.json": json.dumps(metadata)})
        except Exception as error:
            raise MisconfigurationException(f"torch.export can't write this network ({reason_of(error)}).") from error
    return file.getvalue()


def probabilities_of(file: Path, images: torch.Tensor) -> torch.Tensor:
    """Classify images by an exported file, as other programs do.

    Args:
        file: What ``to_onnx`` or ``to_torch`` has made, with the suffix ``.onnx`` or ``.pt2``.
        images: uint8 of shape (batch, height, width, 3).

    Returns:
        Probabilities, float32 of shape (batch, classes).

    Raises:
        MisconfigurationException: If onnxruntime is missing.
    """
    if file.suffix == ".pt2":
        found: torch.Tensor = torch.export.load(file).module()(images)
        return found.detach()
    try:
        import onnxruntime
    except ImportError as error:
        raise MisconfigurationException(
            "export checks what it writes by onnxruntime, which is missing: pip install 'carspotter[export]'."
        ) from error
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run(None, {_NAMES[0]: images.numpy()})[0])

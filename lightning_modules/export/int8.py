"""Turns an exported network's weights and activations into whole numbers of eight bits."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
import numpy.typing as npt
from lightning.fabric.utilities.exceptions import MisconfigurationException

from lightning_modules.export.exporter_output import reason_of, without_logs

Pixels = npt.NDArray[np.uint8]
_MULTIPLY = ("MatMul", "Gemm")


def to_int8(model: bytes, pictures: Sequence[Pixels], side: int) -> bytes:
    """Quantise an ONNX file statically: weights per channel, activations by percentiles over pictures.

    Convolutions of single channels (depthwise ones), the first convolution and the head stay in floats, as products
    without weights do, those of resizing among them: with the layers in eight bits, EfficientNet-Lite0 loses two to
    five of a hundred answers, without none.

    Args:
        model: What ``to_onnx`` has written.
        pictures: Pictures as the network will see them, RGB, uint8 of shape (height, width, 3).
        side: Side to which the network resizes them, in pixels.

    Returns:
        The file.

    Raises:
        MisconfigurationException: If onnxruntime is missing, or can't quantise the network.
    """
    try:
        import onnx
        from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
        from onnxruntime.quantization.calibrate import CalibrationDataReader
    except ImportError as error:
        raise MisconfigurationException(
            "--int8 needs onnx and onnxruntime, which are missing: pip install 'carspotter[export]'."
        ) from error

    class Pictures(CalibrationDataReader):  # type: ignore[misc]
        """Hands the pictures over one by one, all of one size, as the histograms need them."""

        def __init__(self) -> None:
            self.left: Iterator[Pixels] = iter(pictures)

        def get_next(self) -> dict[str, Pixels] | None:
            """Return the next picture, or None after the last."""
            picture = next(self.left, None)
            if picture is None:
                return None
            resized = cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)
            return {"images": np.asarray(resized, dtype=np.uint8)[None]}

    with TemporaryDirectory() as folder, without_logs():
        given, written = Path(folder, "float.onnx"), Path(folder, "int8.onnx")
        given.write_bytes(model)
        try:
            quantize_static(
                given,
                written,
                Pictures(),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                op_types_to_quantize=["Conv", *_MULTIPLY],
                nodes_to_exclude=_kept(onnx.load_model_from_string(model)),
                calibrate_method=CalibrationMethod.Percentile,
                extra_options={"MatMulConstBOnly": True},
            )
        except Exception as error:  # whatever a network leads to
            reason = reason_of(error)
            raise MisconfigurationException(f"This network can't be written with eight bits ({reason}).") from error
        return written.read_bytes()


def _kept(proto: "onnx.ModelProto") -> list[str]:  # type: ignore[name-defined]  # noqa: F821 - imported when needed
    """Name the layers that stay in floats."""
    constants = {weights.name for weights in proto.graph.initializer}
    candidates = [node for node in proto.graph.node if node.op_type in ("Conv", *_MULTIPLY)]
    layers = [node for node in candidates if constants & {*node.input}]
    weightless = [node for node in candidates if not constants & {*node.input}]  # resizing, and attention
    depthwise = [
        node for node in layers if any(attribute.name == "group" and attribute.i > 1 for attribute in node.attribute)
    ]
    return [node.name for node in (*layers[:1], *depthwise, *layers[-1:], *weightless)]

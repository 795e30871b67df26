"""The command ``explain``: what a run answers to photographs, and where it looked."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from lightning.fabric.utilities.exceptions import MisconfigurationException
from PIL import Image as Pillow
from tqdm.auto import tqdm

from callbacks.evaluation.heat_maps import HeatMaps
from datamodules.loading.prepared_picture import prepared
from datamodules.photographs.photograph_search import list_photographs, tell_boxes
from datamodules.reading.boxes import widened
from datamodules.reading.image_reader import UnreadableImageError, read_image
from lightning_modules import ImageClassifier
from lightning_modules.prediction.preprocessing import pipeline_of
from results.figures.explanation_figure import Explanation, explanation_figure
from results.figures.figure_file import is_figure, write_figure
from results.predictions import Prediction, answer_lines

_MOST = 40  # photographs in a figure
_TOP = 5


def explain(run: Path, photographs: Sequence[str], output: Path, eval_scale: float | None = None) -> None:
    """Draw photographs beside heat maps of where the network looked, and its answers.

    Args:
        run: The folder of a run, or a checkpoint.
        photographs: Files, folders, patterns and CSV lists.
        output: The PNG file to write; an earlier figure is replaced.
        eval_scale: As that of ``ImageClassifier.load``.

    Raises:
        MisconfigurationException: If no photograph can be read, or something else than a figure has that name.
    """
    if not photographs:
        raise MisconfigurationException("explain needs photographs: name files, folders or patterns after the run.")
    if output.exists() and not is_figure(output):
        raise MisconfigurationException(
            f"--output is {output}, which exists and is no figure: choose another name, or remove it."
        )
    model = ImageClassifier.load(run, eval_scale=eval_scale)
    margin = model.settings.box_margin
    found = list_photographs([*photographs], cropping=margin is not None)
    tell_boxes(found, margin)
    pipeline = pipeline_of(model.hparams["preprocessing"], model.hparams["image_size"])
    heat = HeatMaps(model)
    explained: list[Explanation] = []
    answers: list[Prediction] = []
    for photograph in tqdm(found[:_MOST], desc="explaining", unit=" photographs", delay=2, disable=None, leave=False):
        try:
            if photograph.reason:
                raise UnreadableImageError(photograph.reason)
            box = None if photograph.box is None or margin is None else widened(photograph.box, margin)
            original = read_image(photograph.file, box)
        except UnreadableImageError as error:
            answers.append(Prediction(photograph.file, [], str(error)))
            continue
        pixels = prepared(pipeline, original, None).permute(1, 2, 0).numpy()
        # of Pillow, since an array's channels are in doubt where a side has one, three or four pixels
        classes = [*model.classify(Pillow.fromarray(original)).items()][:_TOP]
        (heat_map,) = heat([np.ascontiguousarray(pixels)], [model.class_names.index(classes[0][0])])
        explained.append(Explanation(photograph.file, original, pixels, heat_map, classes))
        answers.append(Prediction(photograph.file, classes))
    print("\n".join(answer_lines(answers, 120)))  # noqa: T201 - the result
    if not explained:
        raise MisconfigurationException(f"None of {len(answers)} photographs could be read.")
    write_figure(output, explanation_figure(explained))
    left = f" (the first {_MOST} of {len(found)} photographs)" if len(found) > _MOST else ""
    print(f"explanation: {output}{left}")  # noqa: T201

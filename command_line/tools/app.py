"""The command ``app``: a local page on which photographs can be tried."""

from pathlib import Path

from lightning.fabric.utilities.exceptions import MisconfigurationException

from lightning_modules import ImageClassifier
from lightning_modules.prediction.certainty import AnswerRule
from results.report.templates import template
from runs.finding import run_of


def app(run: Path, port: int, rule: AnswerRule, eval_scale: float | None = None) -> None:
    """Serve the page until the process is interrupted.

    Args:
        run: The folder of a run, or a checkpoint.
        port: The port; 0 takes a free one.
        rule: When to answer ``unknown``.
        eval_scale: As that of ``ImageClassifier.load``.

    Raises:
        MisconfigurationException: If a package is missing, the port is taken, or a number makes no sense.
    """
    try:
        from command_line.app.server import MAX_BYTES, make_app, serve
    except ImportError as error:
        raise MisconfigurationException("app needs starlette and uvicorn: pip install 'carspotter[app]'.") from error
    if not 0 <= port <= 65_535:
        raise MisconfigurationException(f"--port is {port}: it has to be between 0 and 65535.")
    from command_line.app.app_classifier import AppClassifier

    model = ImageClassifier.load(run, eval_scale=eval_scale)
    classifier = AppClassifier(model, rule)
    found = run_of(run)
    subtitle = f"{len(model.class_names):,} classes, {model.hparams['backbone']}"
    if not rule.always_answers:
        name = "a probability" if rule.score == "probability" else rule.score
        subtitle += f"; below {name} of {classifier.threshold:.3f} the answer is unknown"
    if model.settings.box_margin is not None:
        subtitle += "; trained on pictures cut out along boxes: show it objects without their surroundings"
    page = template("app.html").render(title=found.name if found else run.stem, subtitle=subtitle, limit=MAX_BYTES)
    serve(make_app(classifier, page), port)

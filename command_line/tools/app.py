"""The command ``app``: a local page on which photographs can be tried."""

from pathlib import Path

from lightning.fabric.utilities.exceptions import MisconfigurationException

from lightning_modules import ImageClassifier
from results.report.templates import template
from runs.finding import run_of


def app(run: Path, port: int, min_confidence: float | None, coverage: float | None) -> None:
    """Serve the page until the process is interrupted.

    Args:
        run: The folder of a run, or a checkpoint.
        port: The port; 0 takes a free one.
        min_confidence: As that of ``AppClassifier``.
        coverage: As that of ``AppClassifier``.

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

    model = ImageClassifier.load(run)
    classifier = AppClassifier(model, min_confidence, coverage)
    found = run_of(run)
    subtitle = f"{len(model.class_names):,} classes, {model.hparams['backbone']}"
    if classifier.min_confidence:
        subtitle += f"; below {100 * classifier.min_confidence:.1f} % the answer is unknown"
    page = template("app.html").render(title=found.name if found else run.stem, subtitle=subtitle, limit=MAX_BYTES)
    serve(make_app(classifier, page), port)

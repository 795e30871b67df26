"""Builds a report."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from results.evaluation.answers import Evaluation
from results.evaluation.calibration import reliability
from results.evaluation.coverage import at_coverage, coverage_curve
from results.evaluation.unknown import separation
from results.report.cases import HEATED, Picture, choose, make_cases
from results.report.charts import bar_chart, coverage_chart, reliability_chart, separation_chart
from results.report.pictures import Pixels
from results.report.tables import MATRIX, class_rows, group_shares, matrix_cells, score_rows
from results.report.templates import template

_SECTIONS = {
    "scores": "Scores",
    "confused": "Confused",
    "mistakes": "Mistakes",
    "doubtful": "Doubtful",
    "classes": "Classes",
    "confusion": "Matrix",
    "calibration": "Calibration",
    "coverage": "Coverage",
    "unknown": "Unknown",
    "groups": "Groups",
    "suspects": "Labels",
    "origin": "Origin",
}
_COVERAGES = (0.5, 0.8, 0.9, 0.95, 1.0)
_ANSWERED = (0.99, 0.95, 0.9, 0.8)  # shares of the known pictures
_SUREST = 5
_BARS = 50  # groups that a chart shows


def report_page(
    evaluation: Evaluation,
    picture: Callable[[int], Picture],
    heat: Callable[[Sequence[Pixels], Sequence[int]], list[npt.NDArray[np.float32]]] | None,
    facts: dict[str, str],
    config: str = "",
    limit: int = 24,
) -> str:
    """Make the page of an evaluation.

    Args:
        evaluation: The answers, at least one.
        picture: As that of ``make_cases``.
        heat: As that of ``make_cases``.
        facts: What else to know of the run, by title.
        config: Its configuration, YAML.
        limit: How many pictures a section shows.

    Returns:
        HTML, which needs no other file.
    """
    chosen = choose(evaluation, limit)
    cases = make_cases(evaluation, chosen, limit, picture, heat)
    hits = evaluation.best.hits(evaluation.labels)
    set_name = {"val": "validation", "test": "test"}[evaluation.stage]
    counted = {"mistakes": int((~hits).sum()), "suspects": len(chosen.suspects), "right answers": int(hits.sum())}
    of_each = ", ".join(f"{limit} of {number:,} {name}" for name, number in counted.items() if number > limit)
    return template("page.html").render(
        title=f"{facts.get('run', 'Classifier')}: {set_name} set",
        subtitle=f"{len(hits):,} pictures, {len(evaluation.class_names):,} classes. Answers, pictures and charts below "
        f"are those {'over several views (TTA)' if evaluation.tta else 'to the plain pictures'}.",
        sections=_SECTIONS.items(),
        sides=list(evaluation.sides),
        calibrated=evaluation.temperature != 1,
        scores=score_rows(evaluation),
        **cases,
        counted=counted,
        heat_note="Heat maps: Grad-CAM for the answer, red where most speaks for it, dark where nothing does."
        if any(photo.caption == HEATED for case in (*cases["mistakes"], *cases["doubtful"]) for photo in case.photos)
        else "",
        classes=class_rows(evaluation),
        matrix=matrix_cells(evaluation),
        matrix_limit=MATRIX,
        by_make=bool(group_shares(evaluation)),
        calibration=_calibration(evaluation),
        set_name=set_name,
        coverage=_coverage(evaluation),
        unknown=_unknown(evaluation),
        groups=_groups(evaluation),
        facts=facts,
        config=config,
        limits=f"A section shows at most {limit} pictures (report.pictures)"
        f"{': ' + of_each if of_each else ''}. All answers: predictions.csv beside this page.",
    )


def _calibration(evaluation: Evaluation) -> dict[str, str]:
    plain_hits = evaluation.plain.hits(evaluation.labels)
    found = reliability(evaluation.plain.confidence, plain_hits)
    sides = {"with temperature" if evaluation.temperature != 1 else "plain": found}
    text = f"Expected calibration error (15 bins), plain answers: {found.error:.4f}"
    if evaluation.temperature != 1 and evaluation.uncalibrated is not None:
        before = reliability(evaluation.uncalibrated, plain_hits)
        sides = {"without": before, **sides}
        text += f", without the temperature {evaluation.temperature:g}, found on validation data, {before.error:.4f}"
    if evaluation.tta is not None:
        error = reliability(evaluation.tta.confidence, evaluation.tta.hits(evaluation.labels)).error
        text += f"; over several views {error:.4f}"
    return {
        "text": f"{text}. On the dotted line, answers are right as often as they are sure.",
        "chart": reliability_chart(sides),
    }


def _coverage(evaluation: Evaluation) -> dict[str, Any]:
    curves = {
        name: coverage_curve(answers.confidence, answers.hits(evaluation.labels))
        for name, answers in evaluation.sides.items()
    }
    curve = curves["plain"]  # which predict answers by, unless it is asked for views
    points = sorted({at_coverage(curve, coverage) for coverage in _COVERAGES})
    columns = ("coverage", "accuracy", "confidence")
    rows = [{name: float(getattr(curve, name)[point]) for name in columns} for point in points]
    areas = [(name, curve.aurc) for name, curve in curves.items()]
    plain_hits = evaluation.plain.hits(evaluation.labels)
    areas += [(f"{name}, plain", coverage_curve(score, plain_hits).aurc)
              for name, score in evaluation.logit_scores.items()]  # fmt: skip
    return {"rows": rows, "areas": areas, "chart": coverage_chart(curves)}


def _unknown(evaluation: Evaluation) -> dict[str, Any] | None:
    unknown = evaluation.unknown
    if unknown is None:
        return None
    found = {name: separation(score, unknown.certainties[name]) for name, score in evaluation.certainties.items()}
    rows = [
        {"name": name, "auroc": one.auroc, "refused": [one.refused_at(share) for share in _ANSWERED]}
        for name, one in found.items()
    ]
    best = unknown.certainties[max(found, key=lambda name: found[name].auroc)]
    surest = [(unknown.files[row], unknown.answers[row]) for row in np.argsort(-best, kind="stable")[:_SUREST]]
    return {
        "number": len(unknown.files),
        "source": unknown.source + f" ({len(unknown.unread)} more couldn't be read)" * bool(unknown.unread),
        "answered": _ANSWERED,
        "rows": rows,
        "surest": surest,
        "chart": separation_chart({name: (one.known, one.refused) for name, one in found.items()}),
    }


def _groups(evaluation: Evaluation) -> list[dict[str, str]]:
    charts = []
    for title, shares in group_shares(evaluation).items():
        kept = shares
        if len(shares) > _BARS:
            kept = dict(sorted(shares.items(), key=lambda item: item[1].score)[:_BARS])
        note = "" if kept is shares else f"the {_BARS} least accurate of {len(shares)}"
        charts.append({"title": title, "chart": bar_chart(kept), "note": note})
    return charts

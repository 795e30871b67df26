"""Charts of a comparison."""

import re

from results.report.charts import curve_chart

STEPS = {0: 0.1, 10: 0.5, 20: 0.4}


def test_a_run_keeps_its_colour_in_all_charts() -> None:
    both = curve_chart("val/f1", {"first": STEPS, "second": STEPS})
    alone = curve_chart("train/loss", {"first": {}, "second": STEPS})
    coloured = re.compile(r"stroke: (#[0-9a-f]{6}); stroke-width: 1\.2")
    assert len(set(coloured.findall(both))) == 2
    assert set(coloured.findall(alone)) == {coloured.findall(both)[-1]}


def test_any_name_of_a_run_stands_in_the_legend_as_it_is() -> None:
    chart = curve_chart("val/f1", {"_base": STEPS, "x$\\frac$": STEPS, "c$d$": STEPS})
    for name in ("_base", "x$\\frac$", "c$d$"):
        assert f"<!-- {name} -->" in chart

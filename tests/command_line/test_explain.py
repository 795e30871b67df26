"""The command that shows where a network looked."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from lightning_modules import ImageClassifier
from results.figures.explanation_figure import Explanation, explanation_figure
from train import main

Run = Callable[..., None]


def test_answers_are_those_of_the_run_and_a_figure_shows_them(
    run: Run, tmp_path: Path, toy_set: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Explanation] = []

    def record(explained: list[Explanation]) -> Figure:
        drawn.extend(explained)
        return explanation_figure(explained)

    monkeypatch.setattr("command_line.tools.explain.explanation_figure", record)
    run("fit", "--trainer.max_epochs=1", "--trainer.precision=bf16-mixed")  # whose answers aren't those in floats
    folder = tmp_path / "logs/demo/version_0"
    photographs = sorted(toy_set.glob("cars_test/*.jpg"))[:3]
    photographs.append(tmp_path / "flat.png")  # whose height might be channels
    Image.fromarray(np.asarray(Image.open(photographs[0]))[:3]).save(photographs[-1])
    (tmp_path / "no picture.jpg").write_text("text")
    figure = tmp_path / "why.png"
    words = [str(folder), *map(str, photographs), str(tmp_path / "no picture.jpg"), f"--output={figure}"]
    capsys.readouterr()
    main(["explain", *words])
    printed = capsys.readouterr().out
    model = ImageClassifier.load(folder)
    assert model.settings.precision == "bf16-mixed"
    for photograph, answer in zip(photographs, model.classify([*photographs]), strict=True):
        first = max(answer, key=lambda name: answer[name])
        (line,) = (line for line in printed.splitlines() if photograph.name in line)
        assert first in line
        assert dict(next(one for one in drawn if one.file == str(photograph)).classes).items() <= answer.items()
        assert f"{100 * answer[first]:.1f}" in line
    assert "no picture.jpg" in printed
    assert "not read" in printed
    with Image.open(figure) as picture:
        assert np.asarray(picture.convert("RGB")).std() > 20
    main(["explain", str(folder), str(photographs[0]), f"--output={figure}"])  # an earlier figure is replaced
    config = folder / "config.yaml"
    config.write_text(config.read_text().replace("crop_to_box: false", "crop_to_box: true"))
    listed = tmp_path / "boxes.csv"
    listed.write_text(f"path,x1,y1,x2,y2\n{photographs[0]},10,5,40,30\n")
    main(["explain", str(folder), str(listed), f"--output={figure}"])
    height, width, _ = drawn[-1].original.shape  # of a box of 25 x 30
    assert 25 <= height <= 29
    assert 30 <= width <= 34
    for arguments, message in (
        ([str(folder)], "needs photographs"),
        ([str(folder), str(tmp_path / "no picture.jpg")], "None of 1 photographs could be read"),
        ([str(folder), str(photographs[0]), f"--output={photographs[1]}"], "which exists and is no figure"),
        (["nowhere", str(photographs[0])], "There is no run nowhere"),
    ):
        with pytest.raises(SystemExit, match=message):
            main(["explain", *arguments])

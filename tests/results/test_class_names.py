"""Names of classes may be any text: in figures, in tables for spreadsheets, and between data and checkpoints."""

import csv
import io
import unicodedata
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from fontTools.fontBuilder import FontBuilder  # type: ignore[import-untyped]
from fontTools.pens.ttGlyphPen import TTGlyphPen  # type: ignore[import-untyped]
from lightning.fabric.utilities.exceptions import MisconfigurationException
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager
from matplotlib.text import Text
from PIL import Image

from datamodules.photographs.photograph_list import read_photograph_list
from results.figures import fonts
from results.figures.confusion_figure import confusion_figure
from results.figures.figure_text import drawn_names, is_right_to_left, shortened
from results.figures.preview_figure import preview_figure
from results.predictions import Prediction, as_csv
from results.tables import write_csv
from results.text_table import display_width
from runs.checkpoints import compare_classes
from runs.class_names import ClassNames, same_name, told_apart
from train import main

NAMES = [
    "$5_to_$10", "100% $$$", r"\frac{1}{2} a_b^c {d} \$ \n", "tab\tand\nline", "汽車 トヨタ", "🚗 racing 🏎️",
    "سيارة صغيرة", "Citroe\u0308n", "\u202eabc", "", "L" * 90 + "1" + "R" * 109, "L" * 90 + "2" + "R" * 109,
]  # fmt: skip


@pytest.fixture(autouse=True)
def only_own_fonts(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let no font of this machine decide what a test finds, and leave none behind."""
    listed = list(fontManager.ttflist)
    monkeypatch.setattr(fonts, "findSystemFonts", list)
    monkeypatch.setattr(fontManager, "ttflist", [entry for entry in listed if "mpl-data" in entry.fname])
    _forget()
    yield
    _forget()


def _forget() -> None:
    fonts._SAID.clear()
    for cached in (fonts._search, fonts._families):
        cached.cache_clear()


@pytest.fixture
def font_with_a_car(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Install a font that has 車 and, without an outline, as coloured emoji have none, 🚗."""
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder([".notdef", "car", "emoji"])
    builder.setupCharacterMap({ord("車"): "car", ord("🚗"): "emoji"})
    pen, empty = TTGlyphPen(None), TTGlyphPen(None).glyph()
    for number, corner in enumerate([(0, 0), (0, 800), (800, 800), (800, 0)]):
        (pen.lineTo if number else pen.moveTo)(corner)
    pen.closePath()
    builder.setupGlyf({".notdef": empty, "car": pen.glyph(), "emoji": empty})
    builder.setupHorizontalMetrics(dict.fromkeys([".notdef", "car", "emoji"], (1000, 0)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": "Cars", "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(tmp_path / "cars.ttf")
    monkeypatch.setattr(fonts, "findSystemFonts", lambda: [str(tmp_path / "cars.ttf"), str(tmp_path / "missing.ttf")])
    return "Cars"


def _drawn(figure: Figure) -> list[Text]:
    figure.canvas.draw()
    texts = [text for text in figure.findobj(Text) if isinstance(text, Text)]
    # numbers are those of axes, some of which lie outside and aren't drawn
    return [text for text in texts if text.get_text().strip("\N{MINUS SIGN}.0123456789") and text.get_visible()]


def _names(classes: int) -> list[str]:
    return [NAMES[number % len(NAMES)] + (f" {number}" if number >= len(NAMES) else "") for number in range(classes)]


def _figures() -> dict[str, Callable[[], Figure]]:
    picture = np.zeros((8, 8, 3), np.uint8)
    figures: dict[str, Callable[[], Figure]] = {
        "preview": lambda: preview_figure([(name, picture, [picture] * 2) for name in NAMES])
    }
    for classes in (2, 12, 40, 1001):
        matrix = np.eye(classes, dtype=np.int64) * 9 + np.roll(np.eye(classes, dtype=np.int64), 1, axis=1)
        figures[f"{classes} classes"] = lambda matrix=matrix, classes=classes: confusion_figure(  # type: ignore[misc]
            matrix, _names(classes), "title"
        )
    return figures


@pytest.mark.parametrize("name", list(_figures()))
def test_figures_draw_any_name_as_it_is_written_and_within_the_picture(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a name was taken for mathematics")

    monkeypatch.setattr(RendererAgg, "draw_mathtext", refuse)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message="No font of this system")
        figure = _figures()[name]()
        FigureCanvasAgg(figure)
        texts = _drawn(figure)
    shown = [text.get_text() for text in texts]
    assert any(text.startswith("$5_to_$10") for text in shown)
    picture = figure.bbox
    for text in texts:
        box = text.get_window_extent()
        assert box.x0 >= picture.x0 - 1, text
        assert box.x1 <= picture.x1 + 1, text
        assert box.y0 >= picture.y0 - 1, text
        assert box.y1 <= picture.y1 + 1, text


def test_what_can_t_be_drawn_has_a_readable_stand_in() -> None:
    with pytest.warns(UserWarning, match="No font of this system"):
        names, style = drawn_names(NAMES, 60)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drawn_names(["another 文"], 60)  # once is enough
    assert names[:10] == [
        "$5_to_$10", "100% $$$", r"\frac{1}{2} a_b^c {d} \$ \n", r"tab\tand\nline", "[U+6C7D 8ECA] [U+30C8 30E8 30BF]",
        "[automobile] racing [racing car]", "سيارة صغيرة", "Citroën", r"\u202eabc", "",
    ]  # fmt: skip
    assert style == {"parse_math": False, "usetex": False}


def test_long_names_are_shortened_in_the_middle_and_stay_different() -> None:
    names, _ = drawn_names([NAMES[-2], NAMES[-1], "short", NAMES[-1]], 30)
    assert names == [f"{'L' * 17}…{'R' * 11} (1)", f"{'L' * 17}…{'R' * 11} (2)", "short", f"{'L' * 17}…{'R' * 11} (2)"]
    for text in ("x" * 30, "汽" * 15, "e\u0301" * 30):
        assert shortened(text, 30) == text
    for text in ("x" * 31, "汽" * 100, "e\u0301" * 100):
        assert 25 < display_width(shortened(text, 30)) <= 30
        assert not unicodedata.combining(shortened(text, 30).partition("…")[2][0])


def test_a_font_of_the_system_helps_where_one_has_the_character(font_with_a_car: str) -> None:
    with pytest.warns(UserWarning, match="No font of this system"):
        names, style = drawn_names(["汽車", "🚗"], 60)
    assert names == ["[U+6C7D]車", "[automobile]"]
    assert style["fontfamily"][-1] == font_with_a_car
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = confusion_figure(np.eye(2, dtype=np.int64), ["車", "Auto"], "title")
        figure.canvas.draw()


def test_fonts_are_looked_for_only_where_the_usual_one_lacks_a_character(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> list[str]:
        raise AssertionError("fonts were looked for")

    monkeypatch.setattr(fonts, "findSystemFonts", refuse)
    assert drawn_names(["Citroën", "Škoda", "Лада", "سيارة"], 60)[1] == {"parse_math": False, "usetex": False}


def test_arrows_point_from_left_to_right_before_any_script() -> None:
    assert [is_right_to_left(text) for text in ("سيارة", "12 سيارة", "Auto سيارة", "", "12", "אוטו")] == [
        True, True, False, False, False, True,
    ]  # fmt: skip


def test_tables_have_a_byte_order_mark_where_excel_needs_one(tmp_path: Path) -> None:
    for text, mark in (("a,b\r\n1,2\r\n", b""), ("a,b\r\né,=1+1\r\n", b"\xef\xbb\xbf"), ("", b"")):
        write_csv(tmp_path / "table.csv", text)
        assert (tmp_path / "table.csv").read_bytes() == mark + text.encode()
        with (tmp_path / "table.csv").open(encoding="utf-8-sig", newline="") as file:
            assert list(csv.reader(file)) == list(csv.reader(io.StringIO(text)))


def test_written_predictions_are_a_list_that_predict_reads(tmp_path: Path) -> None:
    files = ["été.jpg", "b\udcff.jpg", "汽車, 1.jpg"]
    write_csv(tmp_path / "p.csv", as_csv([Prediction(file, [("Škoda", 0.5)]) for file in files], top=1))
    found = [photograph.file for photograph in read_photograph_list(str(tmp_path / "p.csv"), cropping=False)]
    assert found == [str(tmp_path / file) for file in files]


@pytest.mark.parametrize(
    ("name", "other", "same"),
    [
        ("Citroën", "Citroe\u0308n", True), (" Audi A4 ", "Audi A4", True), ("Ram C/V", "Ram C-V", True),
        ("\u3000Citroe\u0308n", "Citroën\t", True), ("Audi", "audi", False), ("ﬁat", "fiat", False),
        ("A B", "A  B", False),
    ],
)  # fmt: skip
def test_names_are_the_same_but_for_composition_and_blanks_around_them(name: str, other: str, same: bool) -> None:
    assert same_name(name, other) == same
    assert (ClassNames([name, "x"]).find(other) == 0) == same


@pytest.mark.parametrize(
    ("name", "other", "quoted"),
    [
        ("Audi", "BMW", ("'Audi'", "'BMW'")),
        ("Audi", "audi", ("'Audi'", "'audi'")),
        ("トヨタ", "日産", ("'トヨタ'", "'日産'")),
        ("トヨタ", "トヨペ", ("'トヨタ'", "'トヨペ'")),
        ("Audi", "\u0410udi", ("'Audi'", r"'\u0410udi'")),  # a Cyrillic letter
        ("A\u00a0B", "A B", (r"'A\xa0B'", "'A B'")),
        ("A\u200bB", "AB", (r"'A\u200bB'", "'AB'")),
        ("ﬁat", "fiat", (r"'\ufb01at'", "'fiat'")),
        ("Citroen", "Citroën", ("'Citroen'", r"'Citro\xebn'")),
    ],
)
def test_messages_show_how_names_differ_that_look_alike(name: str, other: str, quoted: tuple[str, str]) -> None:
    assert told_apart(name, other) == quoted


def test_classes_of_checkpoint_and_data_are_compared_by_spelling(tmp_path: Path) -> None:
    compare_classes(tmp_path, ["Citroe\u0308n", "Audi "], ["Citroën", "Audi"])
    with pytest.raises(MisconfigurationException, match="another order, class 0 is 'a' there and 'b' here"):
        compare_classes(tmp_path, ["a", "b "], ["b", "a"])
    with pytest.raises(MisconfigurationException, match=r"other classes than the data: class 1 is 'b' there and '\\u"):
        compare_classes(tmp_path, ["a", "b"], ["a", "\u0432"])


@pytest.mark.drawn
@pytest.mark.slow
def test_a_checkpoint_with_decomposed_names_goes_on_and_is_tested(
    arguments: list[str], tmp_path: Path, scores_of: Callable[..., dict[str, float]]
) -> None:
    names = ["$5_to_$10", "Citroën", "汽車", "🚗"]
    for part in ("train", "val", "test"):
        for number, name in enumerate(names):
            folder = tmp_path / "own" / part / name
            folder.mkdir(parents=True)
            for picture in range(4):
                pixels = np.random.default_rng(10 * number + picture).integers(0, 256, (32, 32, 3), np.uint8)
                Image.fromarray(pixels).save(folder / f"{part}{picture}.png")
    options = [
        *arguments, "--data=datamodules.ImageFolderDataModule", f"--data.root={tmp_path / 'own'}",
        "--data.batch_size=8", "--data.image_size=64",
    ]  # fmt: skip
    with pytest.warns(UserWarning, match="No font of this system"):
        main(["fit", *options, "--trainer.max_epochs=1"])
    run = tmp_path / "logs/demo/version_0"
    checkpoint = run / "checkpoints/last.ckpt"
    content = torch.load(checkpoint, weights_only=True)
    assert content["hyper_parameters"]["class_names"] == names
    content["hyper_parameters"]["class_names"] = [f"{unicodedata.normalize('NFD', name)} " for name in names]
    torch.save(content, checkpoint)
    main(["test", *options, f"--ckpt_path={checkpoint}"])
    assert scores_of("test_scores.json")["test/accuracy"] <= 1
    table = (run / "test/test_confusion_matrix.csv").read_bytes()
    assert table.startswith(b"\xef\xbb\xbf")
    rows = list(csv.reader(io.StringIO(table.decode("utf-8-sig"))))
    assert sum(int(count) for row in rows[1:] for count in row[1:]) == 16
    assert (run / "preview.png").stat().st_size > 10_000
    main(["validate", *options, f"--ckpt_path={checkpoint}"])
    main(["fit", *options, "--trainer.max_epochs=2", "--ckpt_path=last"])
    content = torch.load(checkpoint, weights_only=True)
    assert (content["epoch"], content["hyper_parameters"]["class_names"]) == (1, names)

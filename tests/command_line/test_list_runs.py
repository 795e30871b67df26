"""``runs`` sorts numbers by their value, and lists what it may read."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from command_line.console import mistakes_in_one_line
from train import main


def write(folder: Path, epochs: int, seconds: int, score: float) -> None:
    folder.mkdir(parents=True)
    events = [
        {"event": "began", "time": 0.0, "epochs": 30},
        {"event": "stopped", "time": float(seconds), "epoch": epochs},
    ]
    (folder / "history.jsonl").write_text("\n".join(map(json.dumps, events)))
    (folder / "fit_scores.json").write_text(json.dumps({"val/f1": score}))


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    values = {"a": (10, 2 * 3600, 0.5), "b": (9, 10 * 3600, float("nan")), "c": (2, 100 * 3600, 0.1), "d": (30, 5, 0.9)}
    for name, (epochs, seconds, score) in values.items():
        write(tmp_path / name, epochs, seconds, score)
    return tmp_path


@pytest.mark.parametrize(
    ("sort", "order"),
    [("epochs", "cbad"), ("-epochs", "dabc"), ("length", "dabc"), ("val/f1", "cadb"), ("-val/f1", "dacb")],
)
def test_numbers_in_texts_are_sorted_as_numbers_and_nan_comes_last(
    logs: Path, capsys: pytest.CaptureFixture[str], sort: str, order: str
) -> None:
    main(["runs", str(logs), "--sort", sort])
    assert "".join(line[0] for line in capsys.readouterr().out.splitlines()[1:]) == order


def test_a_folder_that_may_not_be_read_hides_no_other_run(
    logs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (logs / "0-locked").mkdir()
    listed = Path.iterdir

    def refuse(folder: Path) -> Iterator[Path]:  # which nobody refuses root
        if folder.name == "0-locked":
            raise PermissionError(13, "Permission denied", str(folder))
        return listed(folder)

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.warns(match=r"0-locked can't be looked into \(Permission denied\)"):
        main(["runs", str(logs)])
    assert re.findall(r"^[abcd](?= )", capsys.readouterr().out, re.MULTILINE) == [*"abcd"]


def test_a_file_that_may_not_be_read_is_not_said_to_be_unwritable() -> None:
    for error, said in (
        (PermissionError(13, "Permission denied"), "read or write"),
        (OSError(28, "Full"), "write"),
    ):
        error.filename = "x.csv"
        with pytest.raises(SystemExit, match=f"Can't {said} x.csv: "), mistakes_in_one_line():
            raise error


def test_a_config_that_may_not_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "secret.yaml"
    config.touch()
    read = Path.read_text

    def refuse(path: Path, encoding: str | None = None, errors: str | None = None) -> str:
        if path == config:
            raise PermissionError(13, "Permission denied", str(config))
        return read(path, encoding, errors)

    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(SystemExit) as stop:
        main(["fit", f"--config={config}"])
    assert stop.value.code == 2
    assert f"can't read {config}: Permission denied. Make it readable" in capsys.readouterr().err

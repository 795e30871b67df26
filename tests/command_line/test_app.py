"""``app`` answers as ``predict`` does, whoever asks, and refuses what it should."""

import csv
import http.client
import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from PIL import Image
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from tests.conftest import TINY
from tests.support.browser import chromium, complaints
from tests.support.checkout import CHECKOUT
from train import main


class Served(NamedTuple):
    port: int
    photographs: list[Path]
    expected: dict[str, list[tuple[str, float]]]
    process: "subprocess.Popen[str]"


@pytest.fixture(scope="module")
def served(toy_root: Path, toy_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A trained run, what ``predict`` answers to ten photographs, and the page of the run."""
    folder = tmp_path_factory.mktemp("app")
    options = [
        "--data=datamodules.ToyCarsDataModule", *(f"--data.{name}={value}" for name, value in TINY.items()),
        f"--data.root={toy_root}", "--model.backbone=resnet18", "--model.weights=null", "--trainer.max_epochs=2",
        "--trainer.enable_progress_bar=false", "--trainer.accelerator=cpu", "--previews.enabled=false",
        f"--logs={folder}", "--experiment=e", "--name=run",
    ]  # fmt: skip
    main(["fit", *options])
    photographs = []
    for number, path in enumerate(sorted(toy_set.rglob("*.jpg"))[:10]):
        photographs.append(folder / f"{number}.jpg")
        shutil.copy(path, photographs[-1])
    photographs.append(folder / "flat.png")
    Image.fromarray(np.asarray(Image.open(photographs[0]))[:3]).save(photographs[-1])
    main(["predict", str(folder / "e/run"), *map(str, photographs), f"--output={folder / 'expected.csv'}"])
    expected = {}
    with (folder / "expected.csv").open(encoding="utf-8-sig", newline="") as rows:
        for row in csv.DictReader(rows):
            answers = [(row[f"class_{place}"], float(row[f"probability_{place}"])) for place in range(1, 6)]
            expected[Path(row["file"]).name] = answers
    command = [sys.executable, str(CHECKOUT / "train.py"), "app", str(folder / "e/run"), "--port=0", "--coverage=0.9"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    found = re.match(r"http://127\.0\.0\.1:(\d+) ", process.stdout.readline())
    assert found
    yield Served(int(found[1]), photographs, expected, process)
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 0


def ask(port: int, data: bytes, **headers: str) -> tuple[int, dict[str, Any]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("POST", "/classify", data, headers)
    reply = connection.getresponse()
    content = reply.read()
    return reply.status, json.loads(content) if content.startswith(b"{") else {}


@pytest.mark.slow
def test_many_at_once_get_the_answers_of_predict(served: Served) -> None:
    asked = served.photographs * 3
    with ThreadPoolExecutor(8) as threads:
        replies = [*threads.map(lambda path: ask(served.port, path.read_bytes()), asked)]
    for path, (status, found) in zip(asked, replies, strict=True):
        expected = served.expected[path.name]
        assert status == 200
        assert [one["class"] for one in found["classes"]] == [name for name, _ in expected]
        assert [one["probability"] for one in found["classes"]] == pytest.approx([p for _, p in expected], abs=2e-6)
        assert found["answer"] in (expected[0][0], "unknown")
        assert found["heat_map"].startswith("data:image/jpeg;base64,")


def test_what_is_no_picture_or_too_large_is_refused_and_the_next_one_answered(served: Served) -> None:
    big = b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + (60_000).to_bytes(4) * 2 + b"\x08\x02\0\0\0"
    for data, status, message in (
        (b"hello", 422, "plain text"),
        (b"", 422, "empty"),
        (served.photographs[0].read_bytes()[:300], 422, "."),
        (big, 422, "."),
        (bytes(65 * 2**20), 413, "larger than 64 MB"),
    ):
        found = ask(served.port, data)
        assert found[0] == status
        assert message in found[1]["error"]
    assert ask(served.port, served.photographs[0].read_bytes())[0] == 200


def test_other_pages_and_other_names_of_the_computer_are_refused(served: Served) -> None:
    data = served.photographs[0].read_bytes()
    assert ask(served.port, data, Origin="http://evil.example")[0] == 403
    assert ask(served.port, data, Host="evil.example")[0] == 400
    assert ask(served.port, data, Origin=f"http://127.0.0.1:{served.port}")[0] == 200


@pytest.mark.slow
def test_the_page_shows_the_answers_of_predict(served: Served, tmp_path: Path) -> None:
    (tmp_path / "notes.jpg").write_text("no picture")
    with chromium() as browser:
        browser.get(f"http://127.0.0.1:{served.port}")
        given = [*served.photographs, tmp_path / "notes.jpg"]
        browser.find_element(By.ID, "file").send_keys("\n".join(map(str, given)))
        WebDriverWait(browser, 60).until(lambda _: browser.find_elements(By.CSS_SELECTOR, "[data-state=refused]"))
        (refused,) = browser.find_elements(By.CSS_SELECTOR, "[data-state=refused]")
        assert "plain text" in refused.text
        cards = browser.find_elements(By.CSS_SELECTOR, "[data-state=answered]")
        assert len(cards) == len(served.photographs)
        for path, card in zip(reversed(served.photographs), cards, strict=True):
            expected = served.expected[path.name]
            rows = card.find_elements(By.CSS_SELECTOR, ".row")
            assert [row.find_element(By.CSS_SELECTOR, ".class").text for row in rows] == [name for name, _ in expected]
            shown = [float(str(row.get_attribute("data-probability"))) for row in rows]
            assert shown == pytest.approx([value for _, value in expected], abs=2e-6)
            widths = [image.get_property("naturalWidth") for image in card.find_elements(By.TAG_NAME, "img")]
            assert len(widths) == 2
            assert all(int(str(width)) > 0 for width in widths)
        severe = [text for text in complaints(browser) if "422" not in text]
        assert severe == []


def test_a_port_that_is_taken_and_other_mistakes_are_answered_in_one_sentence(served: Served) -> None:
    run = str(served.photographs[0].parent / "e/run")
    for options, message in (
        ([f"--port={served.port}"], f"Can't listen at port {served.port}: Address already in use. Give another one"),
        (["--port=70000"], "--port is 70000: it has to be between 0 and 65535"),
        (["--min_confidence=2"], "--min_confidence is 2.0: it has to be above 0 and at most 1"),
        (["--min_confidence=0.5", "--coverage=0.9"], "exclude each other"),
    ):
        with pytest.raises(SystemExit) as stop:
            main(["app", run, *options])
        assert message in str(stop.value.code)

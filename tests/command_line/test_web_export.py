"""``export --format web`` writes a page that answers as ``classify`` does, with nothing but a static host."""

import functools
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from PIL import Image
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from command_line.tools.web_folder import RUNTIME, runtime_files
from lightning_modules import ImageClassifier
from tests.support.browser import address, chromium, complaints
from tests.support.checkout import CHECKOUT
from train import main

Run = Callable[..., None]


@pytest.fixture
def trained(run: Run, tmp_path: Path) -> Path:
    run("fit", "--trainer.max_epochs=1")
    return tmp_path / "logs/demo/version_0"


@pytest.fixture
def page(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A page with the real runtime, where npm has it in its cache (``npm cache add``)."""
    monkeypatch.setenv("npm_config_offline", "true")
    try:
        runtime_files()
    except Exception as error:
        pytest.skip(str(error))
    main(["export", str(trained), "--format=web", f"--output={tmp_path / 'page'}"])
    return tmp_path / "page"


@pytest.fixture
def port(page: Path) -> Iterator[int]:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(page))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.mark.slow
def test_the_page_answers_as_the_run(trained: Path, port: int, toy_set: Path, tmp_path: Path) -> None:
    photographs = sorted(toy_set.rglob("*.jpg"))[:4]
    with Image.open(photographs[0]) as picture:
        exif = Image.Exif()
        exif[0x0112] = 6
        picture.save(tmp_path / "turned.jpg", exif=exif, quality=95)
        picture.resize((1300, 900)).save(tmp_path / "large.png")
        transparent = picture.convert("RGBA")
        transparent.putalpha(Image.fromarray(np.eye(*picture.size[::-1], dtype=bool)).convert("L"))
        transparent.save(tmp_path / "transparent.png")
    given = [*photographs, tmp_path / "turned.jpg", tmp_path / "large.png", tmp_path / "transparent.png"]
    (tmp_path / "notes.jpg").write_text("no picture")
    answers = ImageClassifier.load(trained).classify([*given])
    with chromium() as browser:
        browser.get(f"http://127.0.0.1:{port}")
        browser.find_element(By.ID, "file").send_keys("\n".join(map(str, [*given, tmp_path / "notes.jpg"])))
        WebDriverWait(browser, 120).until(lambda _: browser.find_elements(By.CSS_SELECTOR, "[data-state=refused]"))
        (refused,) = browser.find_elements(By.CSS_SELECTOR, "[data-state=refused]")
        assert "can't read the file as a picture" in refused.text
        cards = browser.find_elements(By.CSS_SELECTOR, "[data-state=answered]")
        assert len(cards) == len(given)
        for card, answer in zip(reversed(cards), answers, strict=True):
            rows = card.find_elements(By.CSS_SELECTOR, ".row")
            shown = {
                row.find_element(By.CSS_SELECTOR, ".class").text: float(str(row.get_attribute("data-probability")))
                for row in rows
            }
            assert len(shown) == min(5, len(answer))
            assert [*shown] == sorted(shown, key=lambda name: -shown[name])
            for name, probability in shown.items():
                assert probability == pytest.approx(answer[name], abs=0.01)
        assert complaints(browser) == []


@pytest.mark.slow
def test_the_page_opened_as_a_file_says_what_it_needs(page: Path, toy_set: Path) -> None:
    with chromium() as browser:
        browser.get(address(page / "index.html"))
        browser.find_element(By.ID, "file").send_keys(str(next(toy_set.rglob("*.jpg"))))
        WebDriverWait(browser, 30).until(lambda _: browser.find_elements(By.CSS_SELECTOR, "[data-state=refused]"))
        assert "python -m http.server" in browser.find_element(By.CSS_SELECTOR, "[data-state=refused]").text


def test_continuous_integration_has_the_runtime_at_hand() -> None:
    assert f"npm cache add {RUNTIME} " in (CHECKOUT / ".ci/run").read_text(encoding="utf-8")


def test_without_npm_or_its_package_nothing_is_written(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs))
    with pytest.raises(SystemExit) as stop:
        main(["export", str(trained), "--format=web", f"--output={tmp_path / 'page'}"])
    assert "which is missing: install Node.js" in str(stop.value.code)
    (programs / "npm").write_text("#!/bin/sh\necho 'npm error network is unreachable' >&2\nexit 1\n")
    (programs / "npm").chmod(0o755)
    with pytest.raises(SystemExit) as stop:
        main(["export", str(trained), "--format=web", f"--output={tmp_path / 'page'}"])
    assert "npm can't get onnxruntime-web@" in str(stop.value.code)
    assert "network is unreachable" in str(stop.value.code)
    assert not [path for path in tmp_path.iterdir() if "page" in path.name]

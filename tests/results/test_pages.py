"""Pages as a browser shows them, wide and narrow, and what they do when they are used."""

import time
from pathlib import Path

import numpy as np
import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

from datamodules.amending.corrected_labels import read_corrections
from datamodules.amending.exclusion import excluded_files
from results.evaluation.answers import Evaluation
from results.evaluation.suspects import Suspects
from results.report.doubts_page import doubts_page
from results.report.page import report_page
from tests.results.test_report import evaluation, picture
from tests.support.browser import address, chromium, complaints
from tests.support.photos import class_folders


def some_answers() -> Evaluation:
    random = np.random.default_rng(0)
    labels = random.integers(0, 3, 60)
    answers = np.where(random.random(60) < 0.7, labels, random.integers(0, 3, 60))
    return evaluation(labels.tolist(), answers.tolist(), random.uniform(0.4, 0.99, 60).tolist())


def show(browser: Chrome, page: Path, width: int) -> None:
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                            {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500})  # fmt: skip
    browser.get(address(page))


@pytest.mark.parametrize("width", [1100, 400])
def test_a_report_fits_its_window_and_its_table_can_be_searched_and_sorted(tmp_path: Path, width: int) -> None:
    page = tmp_path / "report.html"
    page.write_text(
        report_page(some_answers(), lambda row: picture(row % 20), None, {"run": "r", "folder": "/a/" + "long" * 60})
    )
    with chromium() as browser:
        show(browser, page, width)
        assert complaints(browser) == []
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
        names = [row.text for row in browser.find_elements(By.CSS_SELECTOR, "#table tbody td:first-child")]
        assert len(names) == 3
        accuracy = browser.find_elements(By.CSS_SELECTOR, "#table th")[2]
        assert accuracy.text == "accuracy"

        def column() -> list[float]:
            cells = browser.find_elements(By.CSS_SELECTOR, "#table tbody td:nth-child(3)")
            return [float(cell.text) for cell in cells]

        accuracy.click()
        falling = column()
        accuracy.click()
        assert column() == falling[::-1] == sorted(column(), reverse=falling == sorted(falling))
        browser.find_element(By.ID, "search").send_keys("bmw")
        shown = [row for row in browser.find_elements(By.CSS_SELECTOR, "#table tbody tr") if row.is_displayed()]
        assert [row.text.split()[0] for row in shown] == ["BMW"]
        matrix = browser.find_element(By.CSS_SELECTOR, "#matrix canvas")
        before = int(str(matrix.get_property("width")))
        browser.find_element(By.ID, "closer").click()
        assert int(str(matrix.get_property("width"))) > before
        assert complaints(browser) == []


def test_decisions_on_doubtful_labels_are_saved_as_lists_that_are_read(tmp_path: Path) -> None:
    names = ["a", 'b, "B"', "c"]
    root = class_folders(tmp_path / "photos", names, 4)
    (root / "a/3.jpg").rename(root / "a/#3, odd.jpg")
    files = [str(path) for path in sorted(root.rglob("*.jpg"))]
    given = evaluation([0] * 4 + [1] * 4 + [2] * 4, [0, 1, 2, 1] + [1] * 4 + [2] * 4, [0.9] * 12)
    files = [str(root / name) for name in ("a/0.jpg", "a/1.jpg", "a/2.jpg", "a/#3, odd.jpg")] + files[4:]
    given = Evaluation("val", names, files, given.positions, given.labels, given.plain)
    found = Suspects(np.array([1, 2, 3]), np.array([1, 2, 1]))
    page = tmp_path / "doubts.html"
    before = (["c/0.jpg"], {"c/1.jpg": "a", "a/1.jpg": "c", "a/2.jpg": "c"})  # two of which are doubtful again
    page.write_text(doubts_page(given, found, lambda _: np.zeros((30, 40, 3), np.uint8), root, before, 10))
    with chromium() as browser:
        browser.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
        show(browser, page, 1000)

        def choose(card: int, choice: str) -> None:
            browser.find_element(By.CSS_SELECTOR, f"[data-number='{card}'] [data-choice={choice}]").click()

        choose(0, "relabel")
        choose(1, "right")
        choose(2, "exclude")
        assert "1 right, 1 to relabel, 1 to leave out, 0 open" in browser.find_element(By.ID, "count").text
        choose(1, "right")  # once more takes it back
        assert "0 right, 1 to relabel, 1 to leave out, 1 open" in browser.find_element(By.ID, "count").text
        show(browser, page, 400)  # the browser has kept them
        assert "0 right, 1 to relabel, 1 to leave out, 1 open" in browser.find_element(By.ID, "count").text
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 400
        images = browser.find_elements(By.CSS_SELECTOR, "[data-number='0'] img")
        assert all(int(str(image.get_property("naturalWidth"))) > 0 for image in images if image.is_displayed())
        for name in ("relabel", "exclude"):
            browser.find_element(By.ID, name).click()
        again = tmp_path / "again.html"  # in which another class is suggested for the first
        other = Suspects(found.rows, np.array([2, 2, 1]))
        again.write_text(doubts_page(given, other, lambda _: np.zeros((30, 40, 3), np.uint8), root, before, 10))
        show(browser, again, 1000)
        assert "0 right, 0 to relabel, 1 to leave out, 2 open" in browser.find_element(By.ID, "count").text
        saved = (tmp_path / "relabel.csv", tmp_path / "exclude.txt")
        end = time.monotonic() + 30
        while not all(path.exists() for path in saved) and time.monotonic() < end:
            time.sleep(0.1)
        assert complaints(browser) == []
    labels = read_corrections(str(saved[0]), files, root, names)
    assert labels == {str(root / "a/1.jpg"): 1, str(root / "c/1.jpg"): 0, str(root / "a/2.jpg"): 2}
    assert excluded_files(files, root, str(saved[1])) == {str(root / "a/#3, odd.jpg"), str(root / "c/0.jpg")}

"""TensorBoard itself, opened in a browser on what a run and its tests have left."""

import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from selenium.webdriver import Chrome

from tests.support.browser import chromium, complaints
from tests.support.processes import free_port

Run = Callable[..., None]
# all text of the page, that within components too
TEXT = """
const texts = [];
(function walk(node) {
  if (node.nodeType === 3) { texts.push(node.textContent); return; }
  if (["SCRIPT", "STYLE"].includes(node.tagName)) return;
  if (node.shadowRoot) walk(node.shadowRoot);
  node.childNodes.forEach(walk);
})(document.body);
return texts.join(" ").replace(/\\s+/g, " ");
"""


def wait_for(browser: Chrome, address: str, *wanted: str) -> str:
    browser.get("about:blank")
    browser.get(address)
    text = ""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        text = str(browser.execute_script(TEXT))
        if all(re.search(pattern, text) for pattern in wanted):
            return text
        time.sleep(0.2)
    missing = [pattern for pattern in wanted if not re.search(pattern, text)]
    raise AssertionError(f"{address} lacks {missing}: {text[-2000:]}")


@pytest.mark.drawn
@pytest.mark.slow
def test_tensorboard_shows_charts_pictures_settings_and_text(run: Run, tmp_path: Path) -> None:
    with chromium(1400, 1000) as browser:
        run("fit", "--trainer.max_epochs=1", "--name=first")
        report = ["--report.enabled=true", "--report.heat_maps=false", "--report.pictures=1"]
        run("test", "--name=first", "--ckpt_path=best", *report)
        run("test", "--name=first", "--ckpt_path=best", *report, "--data.toy_seed=1")  # another data set
        port = free_port()
        command = [sys.executable, "-m", "tensorboard.main", f"--logdir={tmp_path / 'logs/demo'}", f"--port={port}"]
        server = subprocess.Popen([*command, "--host=127.0.0.1"], stderr=subprocess.PIPE, text=True)
        try:
            assert server.stderr is not None
            assert any("http://" in line for line in server.stderr)
            page = f"http://127.0.0.1:{port}/"
            tests = ("first/test ", "first/test-2 ")  # each data set apart
            wait_for(browser, f"{page}#custom_scalars", "all runs", "losses", "scores", "learning rates",
                     r"train/loss \(first\)", r"val/accuracy \(first\)", r"lr/\S+ \(first\)", *tests)  # fmt: skip
            wait_for(browser, f"{page}#images", r"preview first tag: preview",
                     r"first/test tag: test/mistakes", r"first/test-2 tag: test/mistakes")  # fmt: skip
            wait_for(browser, f"{page}#hparams", "squeezenet1_1", "learning_rate", "test/accuracy", *tests)
            wait_for(browser, f"{page}#text", r"train\.py fit .*--name=first", "backbone: squeezenet1_1",
                     r"--data\.toy_seed=1")  # fmt: skip
            assert complaints(browser) == []
        finally:
            server.terminate()
            server.wait(30)

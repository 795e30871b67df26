"""The documentation builds without a warning, and its commands and links are right."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from command_line.arguments.other_names import COMMANDS
from command_line.help.option_help import TEXTS
from tests.support.checkout import CHECKOUT

PAGES = [CHECKOUT / "README.md", CHECKOUT / "CONTRIBUTING.md", *sorted((CHECKOUT / "docs").glob("*.md"))]
names = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
OPEN = ("data.", "trainer.callbacks")  # whose options depend on a class


def commands(page: Path) -> list[list[str]]:
    """The commands of a page that begin with ``python train.py``, word by word, without comments."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    blocks = re.findall(r"```\n(.*?)```", text, re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()] + re.findall(r"`(python train\.py [^`]*)`", text)
    return [line.partition("  #")[0].split()[2:] for line in lines if line.startswith("python train.py ")]


def test_the_documentation_builds_without_a_warning(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", f"--site-dir={tmp_path / 'site'}"]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    options = (tmp_path / "site/options.html").read_text(encoding="utf-8")
    assert "data.batch_size" in options
    assert "early_stopping.patience" in options
    for page in (tmp_path / "site").rglob("*.html"):
        assert not re.search(r"<(script|link|img)[^>]*(src|href)=.?https?://(?!squidfunk)", page.read_text("utf-8")), (
            page
        )


@names
def test_commands_name_options_and_files_that_exist(page: Path) -> None:
    for command, *words in commands(page):
        assert command in (*COMMANDS, "COMMAND"), command
        if command == "COMMAND":
            continue
        known = (TEXTS / f"{command}-options.txt").read_text(encoding="utf-8").split()
        for word, following in zip(words, [*words, ""][1:], strict=True):
            option = word.removeprefix("--").partition("=")[0]
            if word.startswith("--") and not option.startswith(OPEN):
                assert option in (*known, "help"), f"{command} {word}"
            if word == "--config" and following.startswith("configs/"):
                assert list(CHECKOUT.glob(following)), following


@names
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target, anchor in re.findall(r"\]\(([^)#:]*)(?:#([^)]*))?\)", text):
        linked = page.parent / target if target else page
        assert linked.exists(), target
        assert not linked.is_file() or linked.stat().st_size, target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", linked.read_text(encoding="utf-8"), re.MULTILINE)
            slugs = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert anchor in slugs, f"{target}#{anchor}"


def test_every_page_is_linked_from_the_readme_or_the_site() -> None:
    site = (CHECKOUT / "mkdocs.yml").read_text(encoding="utf-8")
    assert [page.name for page in PAGES[2:] if f": {page.name}" not in site] == []


def test_the_readme_is_short() -> None:
    assert len((CHECKOUT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


def test_ten_tasks_are_counted_right_and_take_no_more_than_elsewhere() -> None:
    rows = re.findall(
        r"^\| (?!task|--)(.*) \|$", (CHECKOUT / "docs/ten-tasks.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert len(rows) == 10
    for row in rows:
        _, ours, characters, _, _, theirs, others = row.split(" | ")
        typed = re.findall("`([^`]*)`", ours)
        assert sum(map(len, typed)) == int(characters), row
        if others != "-":
            elsewhere = re.findall("`([^`]*)`", theirs)
            assert sum(map(len, elsewhere)) == int(others), row
            assert int(characters) <= int(others)
            assert len(typed) <= len(elsewhere)
        for command in typed:
            if command.startswith("carspotter "):
                assert command.split()[1] in COMMANDS

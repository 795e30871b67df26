"""``completion``: shells complete commands, options and values."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from command_line.arguments.other_names import COMMANDS
from tests.support.checkout import CHECKOUT

COMPLETE = """
source {script}
COMP_WORDS=({words})
COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
_shtab_carspotter
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


def completion(*typed: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "train.py", "completion", *typed], cwd=CHECKOUT, capture_output=True, text=True
    )


@pytest.mark.parametrize(
    ("words", "expected", "others"),
    [
        ("carspotter ''", [*COMMANDS], []),
        ("carspotter pre", ["predict", "preview"], ["fit"]),
        ("carspotter fit --data.batch", ["--data.batch_size"], ["--data.root"]),
        ("carspotter fit --model.optimizer ''", ["adamw", "sgd"], []),
        ("carspotter fit --tta.enabled ''", ["true", "false"], []),
        ("carspotter fit --data.root READ", ["README.md"], ["pyproject.toml"]),
        ("carspotter export --form", ["--format"], ["--data.root"]),
        ("carspotter completion ''", ["bash", "zsh", "tcsh"], []),
    ],
)
def test_bash_completes(tmp_path: Path, words: str, expected: list[str], others: list[str]) -> None:
    (tmp_path / "carspotter.bash").write_text(completion("bash").stdout)
    program = COMPLETE.format(script=tmp_path / "carspotter.bash", words=words)
    bash = shutil.which("bash")
    assert bash is not None
    done = subprocess.run([bash, "-c", program], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    found = done.stdout.split()
    assert {*expected} <= {*found}, done.stderr
    assert not {*others} & {*found}


@pytest.mark.parametrize("shell", ["zsh", "tcsh"])
def test_other_shells_get_a_script(shell: str) -> None:
    script = completion(shell).stdout
    assert "carspotter" in script
    assert "data.batch_size" in script


@pytest.mark.parametrize("typed", [(), ("fish",), ("bash", "zsh")])
def test_other_words_are_refused(typed: tuple[str, ...]) -> None:
    done = completion(*typed)
    assert done.returncode == 2
    assert done.stderr == "train.py: error: completion takes one of bash, zsh, tcsh.\n"

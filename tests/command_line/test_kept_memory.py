"""Freed memory is kept in the process, unless the user has set glibc otherwise."""

import platform
import subprocess
import sys

import pytest

from tests.support.checkout import CHECKOUT

PROGRAM = """
import resource
from command_line.hardware.kept_memory import keep_freed_memory

kept = KEEP and keep_freed_memory()
for step in range(11):
    if step == 1:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    b"x" * (64 << 20)
print(kept, (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) // 10)
"""

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is glibc's")


def page_faults(keep: bool, **environment: str) -> tuple[str, int]:
    """Take 64 MiB and free them ten times; returns what was answered and the page faults of each time."""
    command = [sys.executable, "-c", PROGRAM.replace("KEEP", str(keep))]
    done = subprocess.run(command, env=environment, cwd=CHECKOUT, capture_output=True, check=True)
    kept, faults = done.stdout.decode().split()
    return kept, int(faults)


def test_memory_is_mapped_once() -> None:
    assert page_faults(keep=False)[1] > 20  # pages of 4 KiB, or of 2 MiB where the system takes such
    kept, faults = page_faults(keep=True)
    assert (kept, faults) == ("True", 0)


@pytest.mark.parametrize(
    "setting", [{"MALLOC_MMAP_THRESHOLD_": "131072"}, {"GLIBC_TUNABLES": "glibc.malloc.mmap_threshold=131072"}]
)
def test_what_the_user_has_set_stays(setting: dict[str, str]) -> None:
    kept, faults = page_faults(keep=True, **setting)
    assert kept == "False"
    assert faults > 20

"""Measures several sides in turns, and shows them as a table with spread, ratio and machine."""

import argparse
import json
import multiprocessing
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

_PEERS = Path(".venv-peers/bin/python")


class Side(NamedTuple):
    """One side of a comparison.

    Attributes:
        name: What it is called in the table.
        measure: Measures it once.
    """

    name: str
    measure: Callable[[], float]


class Summary(NamedTuple):
    """What is known of a side after all rounds.

    Attributes:
        median: The median.
        low: The lower quartile.
        high: The upper quartile.
        ratio: The median of the rounds' ratios to the reference.
        values: Each round's value.
    """

    median: float
    low: float
    high: float
    ratio: float
    values: list[float]


def arguments(description: str | None, rounds: int = 5) -> argparse.ArgumentParser:
    """Begin a benchmark's command line.

    Args:
        description: The module's docstring.
        rounds: How often each side is measured, unless the user says so.

    Returns:
        A parser that knows ``--rounds``, ``--json`` and ``--peers``.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=rounds, help="how often each side is measured")
    parser.add_argument("--json", type=Path, help="file for each round's values")
    parser.add_argument("--peers", type=Path, default=_PEERS, help="Python with benchmarks/peers.txt (make peers)")
    return parser


def as_options(given: Mapping[str, object]) -> list[str]:
    """Write options as they are typed.

    Args:
        given: Values by name.

    Returns:
        ``--name=value`` of each.
    """
    return [f"--{name}={value}" for name, value in given.items()]


def has_peers(peers: Path) -> bool:
    """Check whether other frameworks can be measured, and how to make it so.

    Args:
        peers: The Python of their environment.

    Returns:
        Whether it is there.
    """
    if not peers.exists():
        print(f"No peers, since there is no {peers}: 'make peers' installs them.\n", file=sys.stderr)
    return peers.exists()


def from_process(command: Sequence[str | Path], environment: Mapping[str, str] | None = None) -> Callable[[], float]:
    """Measure in a process of its own.

    Args:
        command: Its command; the last line that it prints is the number.
        environment: Variables beside those of this process.

    Returns:
        Runs it once, and returns the number.
    """

    def measure() -> float:
        surroundings = {**os.environ, **(environment or {})}
        done = subprocess.run([str(part) for part in command], env=surroundings, capture_output=True, text=True)  # noqa: S603
        if done.returncode:
            raise SystemExit(f"{' '.join(map(str, command))} failed:\n{done.stderr[-2000:]}")
        return float(done.stdout.strip().splitlines()[-1])

    return measure


def apart(measure: Callable[[], float]) -> Callable[[], float]:
    """Measure in a new process, so that no side changes the next one's memory, threads or caches.

    Args:
        measure: A function of a module, or a ``partial`` of one.

    Returns:
        Runs it once, and returns its number.
    """

    def measure_apart() -> float:
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
            return process.submit(measure).result()

    return measure_apart


def take_turns(sides: Sequence[Side], rounds: int) -> dict[str, list[float]]:
    """Measure all sides in each round, so that a busy moment doesn't hit one of them alone.

    Args:
        sides: The sides; every second round takes them in the opposite order.
        rounds: How often.

    Returns:
        Each side's values, one of each round.
    """
    values: dict[str, list[float]] = {side.name: [] for side in sides}
    for number in range(rounds):
        for side in sides if number % 2 == 0 else reversed(sides):
            values[side.name].append(side.measure())
            print(f"round {number + 1} of {rounds}: {side.name} {values[side.name][-1]:.4g}", file=sys.stderr)
    return values


def summarize(values: Mapping[str, list[float]], reference: str) -> dict[str, Summary]:
    """Summarize each side's values.

    Args:
        values: What ``take_turns`` returned.
        reference: The side to which the others are compared, round by round.

    Returns:
        The summaries by name.
    """
    summaries = {}
    for name, measured in values.items():
        low, median, high = statistics.quantiles(measured, method="inclusive") if len(measured) > 1 else measured * 3
        ratios = [value / base for value, base in zip(measured, values[reference], strict=True)]
        summaries[name] = Summary(median, low, high, statistics.median(ratios), measured)
    return summaries


def report(title: str, unit: str, values: Mapping[str, list[float]], reference: str, file: Path | None = None) -> None:
    """Print a table, and write the values.

    Args:
        title: What was measured.
        unit: The unit of the values.
        values: What ``take_turns`` returned.
        reference: The side to which the others are compared.
        file: A JSON file for the values, to which a table is added; None writes none.
    """
    summaries = summarize(values, reference)
    print(f"{title}; {machine()}\n")
    print(f"| | {unit}, median | quartiles | of {reference} |\n|---|---|---|---|")
    for name, (median, low, high, ratio, _) in summaries.items():
        print(f"| {name} | {median:.4g} | {low:.4g} to {high:.4g} | {ratio:.3g} |")
    print()
    if file is not None:
        tables = json.loads(file.read_text()) if file.exists() else []
        sides = {name: summary._asdict() for name, summary in summaries.items()}
        tables.append({"title": title, "unit": unit, "reference": reference, "machine": machine(), "sides": sides})
        file.write_text(json.dumps(tables, indent=1) + "\n")


def machine() -> str:
    """Describe the machine: processor, cores that this process may use, the GPU if there is one, and versions."""
    cpu = platform.processor() or platform.machine()
    if (information := Path("/proc/cpuinfo")).exists():
        lines = information.read_text().splitlines()
        cpu = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), cpu)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    import torch  # not needed by those that measure how long it takes

    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return f"{cpu}, {cores} cores{gpu}, Python {platform.python_version()}, torch {torch.__version__}"

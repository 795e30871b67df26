"""Measures what devices that train together send to each other, and foretells what many GPUs gain.

python -m benchmarks.devices [--tables traffic bandwidth foretold] [--network resnet18] [--processes 2 4]

"traffic" counts the bytes that each process sends for a batch and at the end of an epoch, in a network of its own
(which takes root), with gloo on the CPU. "bandwidth" trains on two networks with a cable between them, whose bandwidth
the kernel limits, and compares the seconds of a batch with ``benchmarks.devices_model``, fitted to every second of
them. "foretold" is that model for GPUs, from steps that were measured on one.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.cable import INTERFACE, cable
from benchmarks.devices_model import GPU_STEPS, LINKS, Exchange, efficiency, fit_overlap
from benchmarks.measuring import arguments, as_options, machine

_BATCHES = 40
_METER = "benchmarks.traffic_meter.TrafficMeter"
VARIANTS: dict[str, dict[str, Any]] = {
    "DDP": {"trainer.strategy": "ddp"},
    "DDP, gradients in bfloat16": {"trainer.strategy": "ddp", "half": "true"},
    "DDP, gradients of four batches together": {"trainer.strategy": "ddp", "trainer.accumulate_grad_batches": 4},
    "FSDP2": {"config": "configs/strategy/fsdp.yaml"},
}
RATES = [None, 8.0, 4.0, 2.0, 1.0, 0.5]
_MEGA = 1e6


def options_of(given: argparse.Namespace, folder: str, processes: int, more: dict[str, Any]) -> list[str]:
    """Write the command's options.

    Args:
        given: The command line of this script.
        folder: For the run and what is counted.
        processes: How many processes train on a machine.
        more: Options of the case; ``half`` is the meter's.

    Returns:
        The options.
    """
    case = {name: value for name, value in more.items() if name not in ("half", "interface", "config")}
    configs = {"config": more["config"]} if "config" in more else {}
    shared = {
        "data": "datamodules.ToyCarsDataModule",
        "data.root": Path(folder).parent / "toy_cars",
        "data.image_size": 64,
        "data.batch_size": given.batch_size,
        "data.num_workers": 0,
        "model.backbone": given.network,
        "model.weights": "null",
        "trainer.accelerator": "cpu",
        "trainer.devices": processes,
        "trainer.max_epochs": 2,
        "trainer.limit_train_batches": _BATCHES,
        "trainer.limit_val_batches": 2,
        "trainer.precision": "32-true",
        "trainer.enable_progress_bar": "false",
        "trainer.callbacks+": _METER,
        "trainer.callbacks.file": Path(folder, "counted.json"),
        "trainer.callbacks.half": more.get("half", "false"),
        "trainer.callbacks.interface": more.get("interface", "lo"),
        "early_stopping.patience": "null",
        "previews.enabled": "false",
        "report.enabled": "false",
        "logs": Path(folder, "logs"),
    }
    return ["fit", *as_options(configs), *as_options(shared), *as_options(case)]


def finish(processes: list[subprocess.Popen[str]], folder: str) -> dict[str, float]:
    """Wait for a fit.

    Args:
        processes: Its commands.
        folder: Where the meter writes.

    Returns:
        What the meter counted.
    """
    for process in processes:
        _, errors = process.communicate()
        if process.returncode:
            raise SystemExit(f"A fit failed:\n{errors[-2000:]}")
    counted: dict[str, float] = json.loads(Path(folder, "counted.json").read_text())
    return counted


def start(command: list[str], **environment: str) -> subprocess.Popen[str]:
    """Start a command, with a thread for each process.

    Args:
        command: The command.
        **environment: Further variables.

    Returns:
        Its process.
    """
    surroundings = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=surroundings, stdout=subprocess.DEVNULL, stderr=pipe, text=True)  # noqa: S603


def count_traffic(given: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    """Count what each variant sends, and print a table.

    Args:
        given: The command line of this script.
        folder: For the runs.

    Returns:
        What was counted, over all processes.
    """
    print(f"Sent by each process, {given.network}; {machine()}\n")
    print("| | processes | MB a batch | collectives a batch | MB at the end of an epoch |\n|---|---|---|---|---|")
    rows = []
    for name, variant in VARIANTS.items():
        for processes in given.processes:
            with tempfile.TemporaryDirectory(dir=folder) as run:
                command = [sys.executable, "train.py", *options_of(given, run, processes, variant)]
                inside = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh", *command]
                found = finish([start(inside)], run)
            rows.append({"variant": name, "processes": processes, **found})
            sent = [found[key] / processes / _MEGA for key in ("bytes", "epoch")]
            cells = f"{sent[0]:.2f} | {found['collectives']:.1f} | {sent[1]:.3f}"
            print(f"| {name} | {processes} | {cells} |", flush=True)
    print()
    return rows


def measure_bandwidths(given: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    """Train over cables of several bandwidths, and compare with the model.

    Args:
        given: The command line of this script.
        folder: For the runs.

    Returns:
        What was measured.
    """
    rows: list[dict[str, Any]] = []
    for rate in RATES:
        with cable(rate) as ends, tempfile.TemporaryDirectory(dir=folder) as run:
            more = {"trainer.strategy": "ddp", "trainer.num_nodes": 2, "interface": INTERFACE}
            processes = []
            for number, end in enumerate(ends):
                address = [f"--node_rank={number}", f"--master_addr={ends[0].address}", "--master_port=29531"]
                launcher = [sys.executable, "-m", "torch.distributed.run", "--nnodes=2", "--nproc_per_node=1", *address]
                command = [*end.prefix, *launcher, "--", "train.py", *options_of(given, run, 1, more)]
                processes.append(start(command, GLOO_SOCKET_IFNAME=INTERFACE))
            rows.append({"gigabits": rate, **finish(processes, run)})
            print(f"{rate or 'unlimited'} Gbit/s: {1000 * rows[-1]['seconds']:.0f} ms a batch", file=sys.stderr)
    measured = [Exchange(row["bytes"] * 8e-9 / row["gigabits"], row["seconds"]) for row in rows[1:]]
    alone = rows[0]["seconds"]
    overlap = fit_overlap(alone, measured[::2])
    print(f"A batch of {given.network} on two machines; {machine()}\n")
    print(f"Overlap, fitted to every second of them: {overlap:.2f} of a batch without limit.\n")
    print("| Gbit/s | ms a batch | model |\n|---|---|---|\n" + f"| unlimited | {1000 * alone:.0f} | |")
    for row, exchange in zip(rows[1:], measured, strict=True):
        foretold = alone / efficiency(alone, exchange.seconds_alone, overlap)
        print(f"| {row['gigabits']:g} | {1000 * row['seconds']:.0f} | {1000 * foretold:.0f} |")
    print()
    return rows


def foretell() -> None:
    """Print the efficiency that the model foretells for GPUs."""
    print("Efficiency foretold, DDP with gradients in float32 / bfloat16, eight GPUs in a machine:\n")
    counts = (8, 64, 512)
    print(f"| | {' | '.join(f'{count} GPUs' for count in counts)} |\n|---|{'---|' * len(counts)}")
    for network, step in GPU_STEPS.items():
        for name, link in LINKS.items():
            cells = []
            for count in counts:
                both = [step.efficiency(count, link, size) for size in (4, 2)]
                cells.append(" / ".join(f"{share:.2f}" for share in both))
            print(f"| {network}, {name} | {' | '.join(cells)} |")


def main() -> None:
    """Run the command line."""
    parser = arguments(__doc__, rounds=1)
    parser.add_argument("--tables", nargs="*", default=["traffic", "bandwidth", "foretold"])
    parser.add_argument("--network", default="resnet18")
    parser.add_argument("--processes", type=int, nargs="*", default=[2, 4])
    parser.add_argument("--batch-size", type=int, default=16, help="images of a batch, over all processes")
    given = parser.parse_args()
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        if "traffic" in given.tables:
            found["traffic"] = count_traffic(given, Path(folder))
        if "bandwidth" in given.tables:
            found["bandwidth"] = measure_bandwidths(given, Path(folder))
    if "foretold" in given.tables:
        foretell()
    if given.json is not None:
        given.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()

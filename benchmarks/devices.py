"""Measures what devices that train together send to each other, and predicts what many GPUs gain.

python -m benchmarks.devices [--tables traffic bandwidth foretold] [--network resnet18] [--processes 2 4]

"traffic" counts the bytes that each process sends for a batch and at the end of an epoch, in a network of its own
(which takes root), with gloo on the CPU. "bandwidth" trains on two networks with a cable between them, whose bandwidth
the kernel limits, and compares the seconds of a batch with ``benchmarks.distributed.cost_model``, fitted to every
second of them. "foretold" is that model for GPUs, from steps that were measured on one.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.distributed.cable import cable
from benchmarks.distributed.cost_model import GPU_STEPS, LINKS, Exchange, efficiency, fit_overlap
from benchmarks.measuring.turns import as_options, machine

_BATCHES = 40
TABLES = ("traffic", "bandwidth", "foretold")
VARIANTS: dict[str, dict[str, Any]] = {
    "DDP": {},
    "DDP, gradients in bfloat16": {"trainer.callbacks.half": "true"},
    "DDP, gradients of four batches together": {"trainer.accumulate_grad_batches": 4},
    "FSDP2": {"config": "configs/strategy/fsdp.yaml"},
}
RATES = [None, 8.0, 4.0, 2.0, 1.0, 0.5]
_MEGA = 1e6


def start(prefix: list[str], given: argparse.Namespace, folder: str, more: dict[str, Any]) -> subprocess.Popen[bytes]:
    """Start a fit, with a thread for each process.

    Args:
        prefix: What runs ``train.py``.
        given: The command line of this script.
        folder: For the run, what is counted, and what goes wrong.
        more: Options of the case.

    Returns:
        Its process.
    """
    options = {
        "config": "configs/strategy/ddp.yaml",
        "data": "datamodules.ToyCarsDataModule",
        "data.root": Path(folder).parent / "toy_cars",
        "data.image_size": 64,
        "data.batch_size": given.batch_size,
        "data.num_workers": 0,
        "model.backbone": given.network,
        "model.weights": "null",
        "trainer.accelerator": "cpu",
        "trainer.max_epochs": 2,
        "trainer.limit_train_batches": _BATCHES,
        "trainer.limit_val_batches": 2,
        "trainer.precision": "32-true",
        "trainer.enable_progress_bar": "false",
        "trainer.callbacks+": "benchmarks.distributed.traffic_meter.TrafficMeter",
        "trainer.callbacks.file": Path(folder, "counted.json"),
        "early_stopping.patience": "null",
        "previews.enabled": "false",
        "report.enabled": "false",
        "logs": Path(folder, "logs"),
    }
    command = [*prefix, "train.py", "fit", *as_options(options | more)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    if interface := more.get("trainer.callbacks.interface"):
        environment["GLOO_SOCKET_IFNAME"] = interface
    with Path(folder, "errors").open("ab") as errors:
        return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=errors)  # noqa: S603


def finish(processes: list[subprocess.Popen[bytes]], folder: str) -> dict[str, float]:
    """Wait for a fit.

    Args:
        processes: Its commands.
        folder: Where they write.

    Returns:
        What the meter counted.

    Raises:
        SystemExit: If one of them fails; the others are ended.
    """
    try:
        while any(process.poll() is None for process in processes):
            if any(process.returncode for process in processes):
                break
            time.sleep(0.1)
    finally:
        for process in processes:
            process.kill()
    if any(process.wait() for process in processes):
        raise SystemExit(f"A fit failed:\n{Path(folder, 'errors').read_text()[-2000:]}")
    counted: dict[str, float] = json.loads(Path(folder, "counted.json").read_text())
    return counted


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
                inside = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh", sys.executable]
                found = finish([start(inside, given, run, {"trainer.devices": processes, **variant})], run)
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
        with cable(rate) as machines, tempfile.TemporaryDirectory(dir=folder) as run:
            processes = []
            for number, (prefix, _, interface) in enumerate(machines):
                address = [f"--node_rank={number}", f"--master_addr={machines[0].address}", "--master_port=29531"]
                launcher = [sys.executable, "-m", "torch.distributed.run", "--nnodes=2", "--nproc_per_node=1", *address]
                more = {"trainer.devices": 1, "trainer.num_nodes": 2, "trainer.callbacks.interface": interface}
                processes.append(start([*prefix, *launcher, "--"], given, run, more))
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


def predict() -> None:
    """Print the efficiency that the model predicts for GPUs."""
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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="file for what was measured")
    parser.add_argument("--tables", nargs="*", default=TABLES, choices=TABLES)
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
        predict()
    if given.json is not None:
        given.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()

"""Several machines, as far as one machine can show them: torchrun with two nodes, and a stand-in for SLURM."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeAlias

import psutil
import pytest
import torch

from benchmarks.distributed.cable import Machine, cable
from tests.runs.test_resume import assert_same
from tests.support.checkout import CHECKOUT
from tests.support.processes import free_port, run_devices
from tests.support.slurm_cluster import why_not
from train import main

pytestmark = [pytest.mark.slow, pytest.mark.heavy]

Agent: TypeAlias = subprocess.Popen[bytes]
BIN = Path(sys.executable).parent
MORE = [
    "--trainer.max_epochs=6", "--checkpoint.every_n_steps=2", "--data.batch_size=8", "--model.optimizer=sgd",
    "--ckpt_path=last",
]  # fmt: skip


def environment() -> dict[str, str]:
    """Of a machine's processes, with the caches of the test."""
    return {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"}


def wait_for(file: Path, process: subprocess.Popen[bytes]) -> None:
    while not file.exists():
        assert process.poll() is None
        time.sleep(0.05)


@pytest.fixture
def machines() -> Iterator[list[Machine]]:
    """Two machines that see nothing of each other but a cable; where that isn't allowed, this one twice."""
    with ExitStack() as laid:
        try:
            found = laid.enter_context(cable())
        except (OSError, subprocess.CalledProcessError):
            found = [Machine([], "127.0.0.1", "lo")] * 2
        yield found


def start_node(machines: list[Machine], number: int, port: int, torchrun: list[str], fit: list[str]) -> Agent:
    """Start torchrun on one of two machines, and training by it; the first machine is the host."""
    machine = machines[number]
    # whose name leads to the address of the endpoint is the host; in a namespace no name does
    configuration = f"is_host={int(not number)},last_call_timeout=5"
    command = [
        str(BIN / "torchrun"), "--rdzv_backend=c10d", f"--rdzv_endpoint={machines[0].address}:{port}", "--rdzv_id=test",
        f"--local_addr={machine.address}", f"--rdzv_conf={configuration}", *torchrun, "--", "train.py", "fit", *fit,
        "--config", "configs/strategy/ddp.yaml", "--trainer.accelerator=cpu",
    ]  # fmt: skip
    # the last variable: else a process may read the addresses of the attempt before, which lie in the same store
    settings = {"GLOO_SOCKET_IFNAME": machine.interface, "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}
    return subprocess.Popen(
        [*machine.prefix, *command], cwd=CHECKOUT, env={**environment(), **settings}, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def events_of(run: Path) -> list[dict[str, Any]]:
    """Read a run's history."""
    history = run / "history.jsonl"
    return [json.loads(line) for line in history.read_text().splitlines()] if history.exists() else []


def test_two_nodes_survive_the_loss_of_a_process(arguments: list[str], tmp_path: Path, machines: list[Machine]) -> None:
    folder = f"--trainer.logger.init_args.save_dir={tmp_path / 'whole'}"
    run_devices(["fit", *arguments, *MORE, folder], 4)

    def start_nodes() -> list[Agent]:
        port, torchrun = free_port(), ["--nnodes=2", "--nproc_per_node=2"]
        numbers = ["--trainer.num_nodes=2", "--trainer.devices=2"]
        return [start_node(machines, number, port, torchrun, [*arguments, *MORE, *numbers]) for number in range(2)]

    run = tmp_path / "logs/demo/version_0"
    nodes = start_nodes()
    wait_for(run / "checkpoints/best.ckpt", nodes[0])
    victims = [child for child in psutil.Process(nodes[1].pid).children() if "train.py" in " ".join(child.cmdline())]
    assert len(victims) == 2
    victims[0].kill()
    assert all(node.wait(timeout=100) for node in nodes)  # neither continues without the other
    assert [node.wait(timeout=100) for node in start_nodes()] == [0, 0]
    assert (run / "resume-config.yaml").is_file()
    whole, torn = (
        torch.load(folder / "checkpoints/last.ckpt", weights_only=True)
        for folder in (tmp_path / "whole/demo/version_0", run)
    )
    assert whole["global_step"] == torn["global_step"]
    assert_same(whole["lr_schedulers"], torn["lr_schedulers"])
    assert_same(whole["loops"]["fit_loop"]["epoch_progress"], torn["loops"]["fit_loop"]["epoch_progress"])
    for name, tensor in whole["state_dict"].items():
        # DDP's first step sums gradients of four devices in another order than later ones do
        difference = (tensor - torn["state_dict"][name]).double().norm() / tensor.double().norm().clamp(min=1e-9)
        assert difference < 0.02, name


FAKE_SRUN = """#!{python}
# Starts the tasks as SLURM would, and passes SIGTERM on to them, as --signal does.
import os, signal, subprocess, sys
common = dict(SLURM_NTASKS="2", SLURM_NNODES="1", SLURM_NODELIST="localhost", SLURM_JOB_NAME="carspotter")
tasks = [subprocess.Popen(sys.argv[1:], env={{**os.environ, **common, "SLURM_PROCID": str(rank), "SLURM_LOCALID":
         str(rank), "SLURM_NODEID": "0", "MASTER_ADDR": "127.0.0.1"}}) for rank in range(2)]
signal.signal(signal.SIGTERM, lambda *_: [task.terminate() for task in tasks])
sys.exit(max(task.wait() for task in tasks))
"""


@pytest.mark.parametrize("lost", ["a worker of the host", "a worker of the other"])
def test_torchrun_starts_again_what_is_lost(
    lost: str, arguments: list[str], tmp_path: Path, machines: list[Machine]
) -> None:
    options = [*arguments, *MORE, "--trainer.max_epochs=20", "--early_stopping.patience=null"]
    run, port = tmp_path / "logs/demo/one", free_port()
    torchrun = ["--nnodes=2", "--nproc_per_node=1", "--max_restarts=3"]
    nodes = [start_node(machines, number, port, torchrun, [*options, "--name=one"]) for number in range(2)]
    wait_for(run / "checkpoints/best.ckpt", nodes[0])
    agent = psutil.Process(nodes[lost == "a worker of the other"].pid)
    (worker,) = [child for child in agent.children(recursive=True) if "train.py" in " ".join(child.cmdline()[:4])]
    worker.kill()
    assert [node.wait(timeout=200) for node in nodes] == [0, 0]
    events = [event["event"] for event in events_of(run)]
    assert events[0] == "began"
    assert events[-1] == "finished"
    assert "resumed" in events
    run_devices(["fit", *options, f"--logs={tmp_path / 'whole'}", "--name=one"], 2)
    whole, torn = (
        torch.load(folder / "checkpoints/last.ckpt", weights_only=True) for folder in (tmp_path / "whole/demo/one", run)
    )
    for key in ("state_dict", "optimizer_states", "global_step", "epoch"):
        assert_same(whole[key], torn[key])


def test_an_elastic_job_loses_a_machine_and_takes_it_back(
    arguments: list[str], tmp_path: Path, machines: list[Machine]
) -> None:
    options = [*arguments, *MORE, "--trainer.max_epochs=40", "--early_stopping.patience=null", "--name=one"]
    options += ["--model.dropout=0"]  # drawn by each device for itself
    torchrun = ["--nnodes=1:2", "--nproc_per_node=1", "--max_restarts=3"]
    run, port = tmp_path / "logs/demo/one", free_port()

    def devices() -> list[int]:
        return [event["devices"] for event in events_of(run) if event["event"] in ("began", "resumed")]

    def wait_until(found: list[int]) -> float:
        began = time.monotonic()
        while devices() != found:
            assert nodes[0].poll() is None
            assert time.monotonic() - began < 100
            time.sleep(0.1)
        return time.monotonic() - began

    nodes = [start_node(machines, number, port, torchrun, options) for number in range(2)]
    wait_for(run / "checkpoints/best.ckpt", nodes[0])
    assert devices() == [2]
    for process in (*psutil.Process(nodes[1].pid).children(recursive=True), psutil.Process(nodes[1].pid)):
        process.kill()
    assert wait_until([2, 1]) < 60
    nodes[1] = start_node(machines, 1, port, torchrun, options)
    assert wait_until([2, 1, 2]) < 60
    assert [node.wait(timeout=100) for node in nodes] == [0, 0]
    assert events_of(run)[-1]["event"] == "finished"
    run_devices(["fit", *options, f"--logs={tmp_path / 'whole'}"], 2)
    untrained = ["--model.learning_rate=0", "--model.weight_decay=0", "--trainer.max_epochs=1"]
    main(["fit", *options, f"--logs={tmp_path / 'untrained'}", *untrained])
    whole, torn = (
        torch.load(folder / "checkpoints/last.ckpt", weights_only=True) for folder in (tmp_path / "whole/demo/one", run)
    )
    for key in ("global_step", "epoch", "lr_schedulers"):
        assert_same(whole[key], torn[key])
    begun = torch.load(tmp_path / "untrained/demo/one/checkpoints/last.ckpt", weights_only=True)["state_dict"]
    weights = [name for name in begun if name.startswith("network.")]
    way, difference = (
        sum(float((whole["state_dict"][name] - other[name]).double().square().sum()) for name in weights) ** 0.5
        for other in (begun, torn["state_dict"])
    )
    assert difference < 0.02 * way  # one device adds up in another order than two


def test_what_the_config_says_and_torchrun_does_have_to_agree(arguments: list[str], tmp_path: Path) -> None:
    command = [str(BIN / "torchrun"), "--standalone", "--nproc_per_node=1", "--", "train.py", "fit", *arguments]
    done = subprocess.run(
        [*command, "--trainer.devices=2", "--trainer.accelerator=cpu"],
        cwd=CHECKOUT, env=environment(), capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    assert done.returncode == 1
    assert "trainer.devices is 2, but torchrun has started 1 process on each machine: set it to auto" in done.stderr
    assert 'train.py", line' not in done.stderr


@pytest.mark.skipif(why_not() is None, reason="tests/devices/test_slurm.py does the same with a real SLURM")
def test_a_slurm_job_saves_queues_itself_again_and_goes_on(arguments: list[str], tmp_path: Path) -> None:
    commands = tmp_path / "bin"
    commands.mkdir()
    (commands / "srun").write_text(FAKE_SRUN.format(python=sys.executable))
    (commands / "scontrol").write_text(f"#!/bin/sh\necho $@ >> {tmp_path / 'scontrol'}\n")
    for command in commands.iterdir():
        command.chmod(0o755)
    of_job = {
        **environment(), "PATH": f"{commands}:{environment()['PATH']}", "SLURM_JOB_ID": "12345", "SLURM_NNODES": "1",
        "SLURM_NTASKS_PER_NODE": "2", "MASTER_PORT": str(free_port()),
    }  # fmt: skip
    job = ["bash", "configs/strategy/slurm.sh", *arguments, "--trainer.accelerator=cpu", *MORE[:4]]
    run = tmp_path / "logs/demo/job-12345"
    first = subprocess.Popen(job, cwd=CHECKOUT, env=of_job, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(run / "checkpoints/best.ckpt", first)
    (srun,) = psutil.Process(first.pid).children()
    srun.send_signal(signal.SIGTERM)
    assert first.wait(timeout=200) == 128 + signal.SIGTERM
    assert (tmp_path / "scontrol").read_text() == "requeue 12345\n"
    steps = torch.load(run / "checkpoints/last.ckpt", weights_only=True)["global_step"]
    assert 0 < steps < 6 * 8
    assert subprocess.run(job, cwd=CHECKOUT, env=of_job, capture_output=True, timeout=200).returncode == 0
    assert torch.load(run / "checkpoints/last.ckpt", weights_only=True)["global_step"] == 6 * 8
    assert [path.name for path in run.parent.iterdir()] == ["job-12345"]

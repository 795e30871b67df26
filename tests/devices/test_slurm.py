"""The script for SLURM on a real one of two nodes: signals, a node that is lost, and a job array as a search."""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.devices.test_nodes import environment
from tests.runs.test_resume import assert_same
from tests.support.checkout import CHECKOUT
from tests.support.processes import run_devices
from tests.support.searches import command, space
from tests.support.slurm_cluster import Cluster, why_not

__all__ = ["space"]

pytestmark = [pytest.mark.slow, pytest.mark.heavy, pytest.mark.skipif(why_not() is not None, reason=str(why_not()))]
OPTIONS = [
    "--trainer.max_epochs=60", "--early_stopping.patience=null", "--checkpoint.every_n_steps=2",
    "--data.batch_size=8", "--model.optimizer=sgd", "--trainer.accelerator=cpu",
]  # fmt: skip


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    try:
        running = Cluster()
    except (AssertionError, OSError) as error:
        pytest.skip(f"SLURM doesn't start here: {error}")
    # the names of the nodes lead nowhere here
    running.environment |= environment() | {"MASTER_ADDR": "127.0.0.1", "GLOO_SOCKET_IFNAME": "lo"}
    running.environment["SLURM_CONF"] = str(running.folder / "slurm.conf")
    yield running
    running.stop()


def submitted(cluster: Cluster, arguments: list[str]) -> str:
    asked = [
        "--nodes=2",
        "--ntasks-per-node=1",
        "--cpus-per-task=1",
        "--gpus-per-node=0",
        f"--output={cluster.folder}/job-%j.log",
    ]
    return cluster.call("sbatch", "--parsable", *asked, "configs/strategy/slurm.sh", *arguments, *OPTIONS, cwd=CHECKOUT)


def test_a_job_that_is_stopped_and_then_loses_a_node_ends_as_if_nothing_had_happened(
    cluster: Cluster, arguments: list[str], tmp_path: Path
) -> None:
    job = submitted(cluster, arguments)
    run = tmp_path / f"logs/demo/job-{job}"

    def events() -> list[str]:
        file = run / "history.jsonl"
        return [json.loads(line)["event"] for line in file.read_text().splitlines()] if file.exists() else []

    def steps() -> int:
        try:
            return int(torch.load(run / "checkpoints/last.ckpt", weights_only=True)["global_step"])
        except (OSError, RuntimeError):  # it is just being replaced
            return -1

    cluster.wait_for(lambda: steps() > 4, 120)
    cluster.call("scancel", "--signal=TERM", job)  # as --signal does before the time is up
    cluster.wait_for(lambda: "stopped" in events(), 60)
    stopped = steps()
    cluster.wait_for(lambda: events()[-1] == "resumed" and steps() > stopped + 4, 120)
    killed = steps()
    (task,) = [
        task for task in cluster.tasks("node1") if "train.py" in " ".join(task.cmdline()) and not task.children()
    ]
    task.kill()  # as where memory is short
    cluster.wait_for(lambda: events().count("resumed") == 2 and steps() > killed + 4, 60)
    assert steps() < 60 * 8
    cluster.lose("node1")
    cluster.wait_for(lambda: cluster.state(job) not in ("RUNNING", "COMPLETING"), 90)
    cluster.bring_back("node1")
    cluster.wait_for(lambda: cluster.state(job) == "COMPLETED", 180)
    assert events().count("resumed") == 3
    assert events()[-1] == "finished"
    assert [path.name for path in run.parent.iterdir()] == [run.name]

    run_devices(["fit", *arguments, *OPTIONS, f"--logs={tmp_path / 'whole'}", "--name=whole"], 2)
    whole = torch.load(tmp_path / "whole/demo/whole/checkpoints/last.ckpt", weights_only=True)
    torn = torch.load(run / "checkpoints/last.ckpt", weights_only=True)
    for key in ("state_dict", "optimizer_states", "global_step", "epoch"):
        assert_same(whole[key], torn[key])


def test_a_job_that_is_cancelled_saves_and_stays_cancelled(
    cluster: Cluster, arguments: list[str], tmp_path: Path
) -> None:
    job = submitted(cluster, arguments)
    run = tmp_path / f"logs/demo/job-{job}"
    cluster.wait_for(lambda: (run / "checkpoints/best.ckpt").exists(), 120)
    cluster.call("scancel", job)
    cluster.wait_for(lambda: cluster.state(job) == "CANCELLED", 60)
    time.sleep(8)  # longer than a job that is queued again waits
    assert cluster.state(job) == "CANCELLED"
    assert json.loads((run / "history.jsonl").read_text().splitlines()[-1])["event"] == "stopped"


def test_a_job_array_is_a_search(cluster: Cluster, toy_root: Path, space: Path, tmp_path: Path) -> None:
    typed = " ".join(f"'{word}'" for word in command(toy_root, space, tmp_path / "sweep", "--trials=3"))
    asked = ["--array=1-2", "--ntasks=1", "--cpus-per-task=1", f"--output={tmp_path}/out-%a"]
    job = cluster.call("sbatch", "--parsable", *asked, f"--wrap={sys.executable} train.py {typed}", cwd=CHECKOUT)
    cluster.wait_for(lambda: not cluster.call("squeue", "-h", "-j", job), 200)
    said = [(tmp_path / f"out-{number}").read_text() for number in (1, 2)]
    lines = (tmp_path / "sweep/trials.csv").read_text().splitlines()
    assert len(lines) == 1 + 3, said
    assert (tmp_path / "sweep/best.yaml").is_file()
    assert all("trial-" in text for text in said)

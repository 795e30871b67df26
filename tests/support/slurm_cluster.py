"""A SLURM of two nodes on this machine: its own programs, with the folders and ports of a test."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from tests.support.processes import free_port

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "scancel", "scontrol", "squeue", "srun")
CONFIG = """
ClusterName=cars
SlurmctldHost=localhost
SlurmctldPort={port}
FirstJobId={port}
SlurmUser=root
SlurmdUser=root
SlurmdTimeout=5
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
SwitchType=switch/none
ReturnToService=2
KillWait=20
SchedulerParameters=sched_interval=2,batch_sched_delay=0
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/%n.log
NodeName=node0 NodeHostname=localhost NodeAddr=127.0.0.1 Port={first} CPUs=2
NodeName=node1 NodeHostname=localhost NodeAddr=127.0.0.1 Port={second} CPUs=2
PartitionName=main Nodes=node[0-1] Default=YES MaxTime=INFINITE State=UP
"""


def why_not() -> str | None:
    """Say why no cluster can be started here; None if one can."""
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        return f"SLURM isn't installed (apt install slurmctld slurmd slurm-client munge): no {missing[0]}"
    return None if os.getuid() == 0 else "SLURM's daemons are started as root"


class Cluster:
    """The daemons.

    Lightning derives the port that the processes of a job meet at from the last digits of the job's number, and two
    clusters may run at once, one in each process of the tests: jobs are counted from the controller's port.

    Attributes:
        folder: All their files.
        environment: Environment of the commands.
    """

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="slurm-"))
        self.folder.chmod(0o755)
        (self.folder / "state").mkdir()
        ports = {name: free_port() for name in ("port", "first", "second")}
        config = self.folder / "slurm.conf"
        config.write_text(CONFIG.format(folder=self.folder, **ports))
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o600)
        self.environment = {**os.environ, "SLURM_CONF": str(config)}
        files = {"socket": "socket", "key-file": "key", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
        places = [f"--{option}={self.folder}/munge.{suffix}" for option, suffix in files.items()]
        self._daemons = [self._start("munged", "--force", "--foreground", *places)]
        self.wait_for(lambda: (self.folder / "munge.socket").exists())
        self._daemons.append(self._start("slurmctld", "-D"))
        self._nodes = {name: self.start_node(name) for name in ("node0", "node1")}
        self.wait_for(lambda: self.call("sinfo", "-h", "-o", "%t %D") == "idle 2", 60)

    def start_node(self, name: str) -> "subprocess.Popen[bytes]":
        """Start the daemon of a node."""
        return self._start("slurmd", "-D", "-N", name)

    def tasks(self, node: str) -> list[psutil.Process]:
        """Find the processes of jobs on a node."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                environment = process.environ()
                mine = environment.get("SLURM_CONF") == self.environment["SLURM_CONF"]
                if mine and environment.get("SLURMD_NODENAME") == node:
                    found.append(process)
        return found

    def lose(self, name: str) -> None:
        """Kill a node: its daemons first, then all tasks on it."""
        steps = []
        for process in psutil.process_iter(["name"]):
            with suppress(psutil.Error):
                sockets = [connection.laddr for connection in process.net_connections("unix")]
                if process.info["name"] == "slurmstepd" and any(
                    f"{self.folder}/spool-{name}/" in str(place) for place in sockets
                ):
                    steps.append(process)
        self._nodes[name].kill()
        for process in (*steps, *self.tasks(name)):
            with suppress(psutil.Error):
                process.kill()
        self._nodes[name].wait()

    def bring_back(self, name: str) -> None:
        """Start a node that was lost."""
        self._nodes[name] = self.start_node(name)

    def call(self, program: str, *arguments: str, **options: Any) -> str:
        """Run a command to its end, and return what it prints."""
        command = [program, *arguments]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=60, **options)
        return str(done.stdout).strip()

    def state(self, job: str) -> str:
        """Ask for the state of a job."""
        found = [word for word in self.call("scontrol", "show", "job", job).split() if word.startswith("JobState=")]
        return found[0].removeprefix("JobState=") if found else ""

    def wait_for(self, condition: Callable[[], bool], seconds: float = 30) -> None:
        """Wait until a condition holds."""
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, self.logs()
            time.sleep(0.1)

    def logs(self) -> str:
        """Read the ends of all logs, and of what the jobs printed."""
        return "\n".join(f"{file.name}: {file.read_text()[-1500:]}" for file in sorted(self.folder.glob("*.log")))

    def stop(self) -> None:
        """End everything."""
        self.call("scancel", "--user=root", "--full", "--signal=KILL")
        for name in self._nodes:
            self.lose(name)
        for daemon in reversed(self._daemons):
            daemon.kill()
            daemon.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _start(self, *command: str) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            command, env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )

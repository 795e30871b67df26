"""Two machines that one machine stands in for: network namespaces, and a cable of a given bandwidth between them."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

_INTERFACE = "cable0"


class Machine(NamedTuple):
    """One of two machines.

    Attributes:
        prefix: What its commands begin with.
        address: Its address.
        interface: The network interface that has it.
    """

    prefix: list[str]
    address: str
    interface: str


def _path_of(tool: str) -> str:
    return shutil.which(tool) or f"/sbin/{tool}"


def _configure(tool: str, step: str) -> None:
    subprocess.run([_path_of(tool), *step.split()], check=True, capture_output=True)  # noqa: S603


@contextmanager
def cable(gigabits: float | None = None) -> Iterator[list[Machine]]:
    """Lay a cable between two networks; takes root.

    Args:
        gigabits: Its bandwidth in Gbit/s, in each direction, by the kernel's token bucket (tbf); None doesn't limit it.

    Yields:
        The two machines.

    Raises:
        OSError: If the system has no network namespaces.
        subprocess.CalledProcessError: If the process isn't allowed to make them.
    """
    names = [f"cars{os.getpid()}{letter}" for letter in "ab"]
    ends = [
        Machine([_path_of("ip"), "netns", "exec", name], address, _INTERFACE)
        for name, address in zip(names, ("10.213.0.1", "10.213.0.2"), strict=True)
    ]
    try:
        for name in names:
            _configure("ip", f"netns add {name}")
        _configure("ip", f"link add {_INTERFACE} netns {names[0]} type veth peer name {_INTERFACE} netns {names[1]}")
        for name, end in zip(names, ends, strict=True):
            _configure("ip", f"-n {name} addr add {end.address}/24 dev {_INTERFACE}")
            _configure("ip", f"-n {name} link set {_INTERFACE} up")
            _configure("ip", f"-n {name} link set lo up")
            if gigabits is not None:
                limit = f"rate {round(gigabits * 1000)}mbit burst 256kb latency 200ms"
                _configure("tc", f"-n {name} qdisc add dev {_INTERFACE} root tbf {limit}")
        yield ends
    finally:
        for name in names:
            with suppress(OSError, subprocess.CalledProcessError):
                _configure("ip", f"netns del {name}")

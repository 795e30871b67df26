"""Two machines that one machine stands in for: network namespaces, and a cable of a given bandwidth between them."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

INTERFACE = "cable0"


class Namespace(NamedTuple):
    """A network that commands can run in.

    Attributes:
        prefix: What a command begins with.
        address: Its address on the cable.
    """

    prefix: list[str]
    address: str


def _configure(tool: str, step: str) -> None:
    subprocess.run([shutil.which(tool) or f"/sbin/{tool}", *step.split()], check=True, capture_output=True)  # noqa: S603


@contextmanager
def cable(gigabits: float | None) -> Iterator[list[Namespace]]:
    """Lay a cable between two networks; takes root.

    Args:
        gigabits: Its bandwidth in Gbit/s, in each direction, by the kernel's token bucket (tbf); None doesn't limit it.

    Yields:
        The two ends.

    Raises:
        OSError: If the system has no network namespaces.
        subprocess.CalledProcessError: If the process isn't allowed to make them.
    """
    names = [f"bench{os.getpid()}{letter}" for letter in "ab"]
    ends = [
        Namespace([shutil.which("ip") or "/sbin/ip", "netns", "exec", name], address)
        for name, address in zip(names, ("10.214.0.1", "10.214.0.2"), strict=True)
    ]
    try:
        for name in names:
            _configure("ip", f"netns add {name}")
        _configure("ip", f"link add {INTERFACE} netns {names[0]} type veth peer name {INTERFACE} netns {names[1]}")
        for name, end in zip(names, ends, strict=True):
            _configure("ip", f"-n {name} addr add {end.address}/24 dev {INTERFACE}")
            _configure("ip", f"-n {name} link set {INTERFACE} up")
            _configure("ip", f"-n {name} link set lo up")
            if gigabits is not None:
                limit = f"rate {round(gigabits * 1000)}mbit burst 256kb latency 200ms"
                _configure("tc", f"-n {name} qdisc add dev {INTERFACE} root tbf {limit}")
        yield ends
    finally:
        for name in names:
            with suppress(OSError, subprocess.CalledProcessError):
                _configure("ip", f"netns del {name}")

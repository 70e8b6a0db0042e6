"""Two hosts and the cable between them, in network namespaces of this machine (Linux, root, iproute2).

A socket belongs to the namespace of the thread that made it, for good: so both hosts live in the test's own process and
on its event loop. Nothing of the machine's own network is touched.
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator

_CLONE_NEWNET = 0x40000000
_numbers = itertools.count()


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True, timeout=20)


def why_not() -> str | None:
    """What is missing for namespaces here; None: they work."""
    if shutil.which("ip") is None:
        return "iproute2 is not installed"
    try:
        with cable():
            return None
    except (OSError, subprocess.SubprocessError) as exc:
        return f"no network namespaces here: {getattr(exc, 'stderr', None) or exc}"


def leave_the_network() -> None:
    """Move this process, and all that it starts, to a namespace of its own, for good: there is nothing but loopback."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), "unshare")
    ip("link", "set", "lo", "up")


class Host:
    """One end of the cable."""

    def __init__(self, namespace: str, address: str) -> None:
        self.namespace = namespace
        self.address = address

    def ip(self, *arguments: str) -> None:
        ip("-n", self.namespace, *arguments)

    def socket(self) -> socket.socket:
        """A TCP socket on this host, not connected, that does not block."""
        made: list[socket.socket | OSError] = []

        def enter_and_make() -> None:
            libc = ctypes.CDLL(None, use_errno=True)
            with open(f"/run/netns/{self.namespace}") as namespace:
                if libc.setns(namespace.fileno(), _CLONE_NEWNET):
                    made.append(OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), "setns"))
                    return
            made.append(socket.socket(socket.AF_INET, socket.SOCK_STREAM))

        # A thread of its own, which ends where it is.
        thread = threading.Thread(target=enter_and_make)
        thread.start()
        thread.join()
        (result,) = made
        if isinstance(result, OSError):
            raise result
        result.setblocking(False)
        return result

    def listening(self) -> socket.socket:
        made = self.socket()
        made.bind((self.address, 0))
        made.listen()
        return made


class Cable:
    """Both hosts, and what may happen between them."""

    def __init__(self, here: Host, there: Host) -> None:
        self.here = here
        self.there = there

    def pull_there(self) -> None:
        """The other host's end is pulled: no carrier."""
        self.there.ip("link", "set", "cable", "down")

    def pull_here(self) -> None:
        """This host's interface goes down."""
        self.here.ip("link", "set", "cable", "down")

    def lose_packets(self) -> None:
        """The link is up, and what is sent reaches nobody: it goes to the wrong hardware address, both ways."""
        for host, other in ((self.here, self.there), (self.there, self.here)):
            nowhere = ("lladdr", "02:00:00:00:de:ad", "nud", "permanent")
            host.ip("neigh", "replace", other.address, *nowhere, "dev", "cable")


@contextlib.contextmanager
def cable() -> Iterator[Cable]:
    """Two hosts with a cable between them, until the end of the block."""
    number = f"{os.getpid()}-{next(_numbers)}"
    hosts = [Host(f"wirelark-{number}-{end}", f"192.0.2.{end}") for end in (1, 2)]
    with contextlib.ExitStack() as stack:
        for host in hosts:
            ip("netns", "add", host.namespace)
            stack.callback(ip, "netns", "del", host.namespace)
        here, there = hosts
        here.ip("link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", there.namespace)
        for host in hosts:
            host.ip("addr", "add", f"{host.address}/24", "dev", "cable")
            host.ip("link", "set", "cable", "up")
        yield Cable(here, there)

"""How a plain client gets its socket: what create_connection's arguments mean, and what is not looked up."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from harness import Net
from ws_core._dial import dial


@pytest.fixture
def own(loop_name: str) -> Net:
    return Net(tls=False, fast=None)


async def test_an_address_is_not_looked_up(one_net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    server = await one_net.serve()
    loop = asyncio.get_running_loop()

    async def getaddrinfo(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError("it takes a thread")

    monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)
    for arguments in ({}, {"family": socket.AF_INET}, {"local_addr": ("127.0.0.1", 0)}, {"happy_eyeballs_delay": 0.1}):
        with await dial(loop, "127.0.0.1", one_net.port(server), **arguments) as sock:
            assert not sock.getblocking()
    with pytest.raises(AssertionError):
        await dial(loop, "localhost", one_net.port(server))


async def test_an_address_of_ipv6(own: Net) -> None:
    server = await own.serve(host="::1")
    with await dial(asyncio.get_running_loop(), "::1", own.port(server)) as sock:
        assert sock.getpeername()[:2] == ("::1", own.port(server))


async def test_an_address_of_another_family(own: Net) -> None:
    with pytest.raises(OSError, match=r"."):
        await dial(asyncio.get_running_loop(), "127.0.0.1", 1, family=socket.AF_INET6)


async def test_the_local_address(own: Net) -> None:
    server = await own.serve()
    transport, _ = await own.connect(server, local_addr=("127.0.0.2", 0))
    assert transport.underlying_transport.get_extra_info("sockname")[0] == "127.0.0.2"
    with pytest.raises(OSError, match=r"192\.0\.2\.1"):
        await own.connect(server, local_addr=("192.0.2.1", 0))


async def test_nobody_listens(own: Net) -> None:
    """At one address the error is the system's; at several, one tells of all."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with pytest.raises(ConnectionRefusedError):
        await own.connect(f"ws://127.0.0.1:{port}/")
    with pytest.raises(OSError, match=str(port)):
        await own.connect(f"ws://localhost:{port}/", happy_eyeballs_delay=0.01)


async def test_a_name_without_an_address() -> None:
    async def nothing(*args: Any, **kwargs: Any) -> list[Any]:
        return []

    class Loop:
        getaddrinfo = staticmethod(nothing)

    with pytest.raises(OSError, match="'nowhere' has no address"):
        await dial(Loop(), "nowhere", 80)  # type: ignore[arg-type]


async def test_arguments_that_nobody_knows(own: Net) -> None:
    server = await own.serve()
    with pytest.raises(TypeError, match="local_adr"):
        await own.connect(server, local_adr=("127.0.0.1", 0))
    with pytest.raises(ValueError, match="server_hostname"):
        await own.connect(server, server_hostname="another")

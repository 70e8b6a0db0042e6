"""How ws_connect gets its socket: socket_factory in every form, unix sockets, and arguments for the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import ws_core
from harness import Net, Recorder, certificate_authority, server_ssl_context, until, within
from ws_core import Extension, WSListener, WSMsgType, WSParsedURL, WSTransport


def no_listener() -> WSListener:
    raise AssertionError("the factory was called")


async def echoes(transport: WSTransport, listener: Recorder) -> None:
    transport.send(WSMsgType.TEXT, "there and back")
    assert (await listener.frame()).get_payload_as_utf8_text() == "there and back"


def is_open(sock: socket.socket) -> bool:
    return sock.fileno() != -1


@pytest.fixture
def made() -> Iterator[list[socket.socket]]:
    """The sockets of a factory. What the library did not take is closed, so that no warning hides a failure."""
    sockets: list[socket.socket] = []
    yield sockets
    for sock in sockets:
        sock.close()


@pytest.mark.parametrize("asynchronous", [False, True], ids=["plain", "async"])
@pytest.mark.parametrize("connected", ["connected", "unconnected", "none"])
async def test_socket_factory(net: Net, asynchronous: bool, connected: str, made: list[socket.socket]) -> None:
    asked: list[WSParsedURL] = []

    def factory(url: WSParsedURL) -> socket.socket | None:
        asked.append(url)
        if connected == "none":
            return None
        made.append(socket.socket())
        if connected == "connected":
            made[-1].connect((url.host, url.port))
        return made[-1]

    async def async_factory(url: WSParsedURL) -> socket.socket | None:
        await asyncio.sleep(0)
        return factory(url)

    server = await net.serve()
    transport, listener = await net.connect(
        net.url(server, "/a?b"), socket_factory=async_factory if asynchronous else factory
    )
    await echoes(transport, listener)
    assert [(url.scheme, url.host, url.port, url.resource_name) for url in asked] == [
        ("wss" if net.tls else "ws", "127.0.0.1", net.port(server), "/a?b")
    ]
    if made:
        own = transport.underlying_transport.get_extra_info("socket")
        assert own.fileno() == made[0].fileno() or own.getsockname() is not None
    transport.disconnect(graceful=False)
    await within(transport.wait_disconnected())


async def test_a_socket_of_the_factory_is_the_one_that_is_used(plain_net: Net, made: list[socket.socket]) -> None:
    def factory(url: WSParsedURL) -> socket.socket:
        sock = socket.socket()
        made.append(sock)
        sock.bind(("127.0.0.1", 0))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        return sock

    server = await plain_net.serve()
    transport, _ = await plain_net.connect(server, socket_factory=factory)
    remote = transport.underlying_transport.get_extra_info("sockname")
    other = next(iter(server.connections))
    assert other.underlying_transport.get_extra_info("peername") == remote
    own = transport.underlying_transport.get_extra_info("socket")
    assert own.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


@pytest.mark.parametrize("error", [OSError, ValueError, RuntimeError])
@pytest.mark.parametrize("asynchronous", [False, True], ids=["plain", "async"])
async def test_a_factory_that_raises(plain_net: Net, error: type[Exception], asynchronous: bool) -> None:
    def factory(url: WSParsedURL) -> socket.socket:
        raise error("no socket today")

    async def async_factory(url: WSParsedURL) -> socket.socket:
        return factory(url)

    with pytest.raises(error, match="no socket today"):
        await plain_net.connect(1, no_listener, socket_factory=async_factory if asynchronous else factory)


@pytest.mark.parametrize("result", [1, "socket", ("127.0.0.1", 80), object()])
async def test_a_factory_that_makes_no_socket(plain_net: Net, result: Any) -> None:
    with pytest.raises(TypeError, match=r"socket\.socket or None"):
        await plain_net.connect(1, no_listener, socket_factory=lambda url: result)


async def test_a_socket_that_cannot_be_connected_is_closed(plain_net: Net, made: list[socket.socket]) -> None:
    def factory(url: WSParsedURL) -> socket.socket:
        made.append(socket.socket())
        return made[-1]

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(ConnectionRefusedError):
        await plain_net.connect(port, no_listener, socket_factory=factory)
    assert not is_open(made[0])


async def test_a_socket_of_another_kind_is_closed(plain_net: Net, made: list[socket.socket]) -> None:
    server = await plain_net.serve()

    def datagrams(url: WSParsedURL) -> socket.socket:
        made.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        return made[-1]

    with pytest.raises(ValueError, match=r"(?i)stream"):
        await plain_net.connect(server, no_listener, socket_factory=datagrams)
    assert not is_open(made[0])


async def test_an_unconnected_unix_socket_is_refused(plain_net: Net, made: list[socket.socket]) -> None:
    def factory(url: WSParsedURL) -> socket.socket:
        made.append(socket.socket(socket.AF_UNIX))
        return made[-1]

    with pytest.raises(ValueError, match="connect a socket"):
        await plain_net.connect(1, no_listener, socket_factory=factory)
    assert not is_open(made[0])


async def test_a_timeout_closes_the_socket(plain_net: Net, made: list[socket.socket]) -> None:
    """The socket is connected, and then nobody answers."""

    def factory(url: WSParsedURL) -> socket.socket:
        made.append(socket.socket())
        made[-1].connect((url.host, url.port))
        return made[-1]

    ends: list[bytes] = []

    async def serve(peer: Any) -> None:
        ends.append(await peer.rest())

    port = await plain_net.raw_server(serve)
    with pytest.raises(asyncio.TimeoutError):
        await plain_net.connect(port, no_listener, socket_factory=factory, websocket_handshake_timeout=0.05)
    await until(lambda: ends)
    assert ends[0].startswith(b"GET / ")


# ------------------------------------------------------------------ unix sockets


def unix_factory(path: Path) -> Any:
    def factory(url: WSParsedURL) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(str(path))
        return sock

    return factory


async def test_unix_sockets_on_both_sides(net: Net, socket_path: Path) -> None:
    """Where TCP_NODELAY means nothing, setting it must not hang the handshake."""
    server = await net.serve(path=str(socket_path))
    url = f"{'wss' if net.tls else 'ws'}://localhost/over/unix"
    transport, listener = await net.connect(url, socket_factory=unix_factory(socket_path))
    await echoes(transport, listener)
    assert transport.request.headers["Host"] == "localhost"
    other = next(iter(server.connections))
    assert other.request.path == b"/over/unix"
    sock = other.underlying_transport.get_extra_info("socket")
    assert sock.family == socket.AF_UNIX
    await within(transport.close())


async def test_large_messages_over_a_unix_socket(net: Net, socket_path: Path) -> None:
    await net.serve(path=str(socket_path))
    url = f"{'wss' if net.tls else 'ws'}://localhost/"
    transport, listener = await net.connect(url, socket_factory=unix_factory(socket_path))
    message = bytes(range(256)) * 8000
    for _ in range(2):
        transport.send(WSMsgType.BINARY, message)
    for _ in range(2):
        assert (await listener.frame()).get_payload_as_bytes() == message


async def test_a_path_object_is_a_path(plain_net: Net, socket_path: Path) -> None:
    server = await plain_net.serve(path=socket_path)
    assert server.sockets[0].getsockname() == str(socket_path)
    await plain_net.connect("ws://localhost/", socket_factory=unix_factory(socket_path))


# ------------------------------------------------------------------ what the event loop understands


async def test_how_to_connect_does_not_matter_to_a_socket_factory(plain_net: Net) -> None:
    """Not even where the event loop does not know such an argument."""
    server = await plain_net.serve()
    transport, listener = await plain_net.connect(
        server,
        socket_factory=lambda url: socket.create_connection((url.host, url.port)),
        happy_eyeballs_delay=0.25,
        interleave=1,
        family=socket.AF_INET6,
    )
    await echoes(transport, listener)


@pytest.mark.parametrize("factory", [False, True], ids=["loop", "factory"])
async def test_local_addr(plain_net: Net, factory: bool) -> None:
    """With a socket of the user's own it says nothing any more: where that is bound is his business."""
    server = await plain_net.serve()
    kwargs: dict[str, Any] = {"local_addr": ("127.0.0.2", 0)}
    if factory:
        kwargs["socket_factory"] = lambda url: socket.create_connection((url.host, url.port))
    transport, listener = await plain_net.connect(server, **kwargs)
    expected = "127.0.0.1" if factory else "127.0.0.2"
    assert transport.underlying_transport.get_extra_info("sockname")[0] == expected
    other = next(iter(server.connections))
    assert other.underlying_transport.get_extra_info("peername")[0] == expected
    await echoes(transport, listener)


async def test_a_local_addr_that_is_not_ours(plain_net: Net) -> None:
    server = await plain_net.serve()
    with pytest.raises(OSError, match=r"(?i)bind|assign"):
        await plain_net.connect(server, no_listener, local_addr=("192.0.2.1", 0))


async def test_happy_eyeballs(one_net: Net) -> None:
    """Names with several addresses: the arguments of create_connection are passed on."""
    server = await one_net.serve()
    url = f"ws://localhost:{one_net.port(server)}/"  # ::1 first, where nobody listens
    for kwargs in ({"happy_eyeballs_delay": 0.01}, {"family": socket.AF_INET}, {"interleave": 1}, {}):
        await one_net.connect(url, use_aiofastnet=False, **kwargs)
        await one_net.connect(url, **kwargs)


async def test_ipv6(net: Net) -> None:
    with contextlib.closing(socket.socket(socket.AF_INET6)) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            pytest.skip("there is no IPv6 here")
    server = await net.serve(host="::1")
    url = f"{'wss' if net.tls else 'ws'}://[::1]:{net.port(server)}/"
    transport, listener = await net.connect(url)
    assert transport.request.headers["Host"] == f"[::1]:{net.port(server)}"
    await echoes(transport, listener)


async def test_server_hostname(plain_net: Net) -> None:
    """The name in the certificate may be another than that of the URL, also on a socket of the user's own."""
    names: list[str | None] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate_authority().issue_cert("only.example").configure_cert(context)
    context.sni_callback = lambda ssl_object, name, ctx: names.append(name)
    server = await plain_net.serve(ssl=context)
    url = f"wss://127.0.0.1:{plain_net.port(server)}/"
    for factory in (None, lambda url: socket.create_connection(("127.0.0.1", url.port))):
        transport, listener = await plain_net.connect(url, server_hostname="only.example", socket_factory=factory)
        await echoes(transport, listener)
    assert names == ["only.example", "only.example"]


async def test_tls_contexts_with_callbacks(plain_net: Net, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """aiofastnet 1.2.0 crashes the interpreter on each of them: they go through the loop's own transports."""
    # Not aiofastnet on the other side: it tells the event loop of each TLS handshake that fails.
    server = await plain_net.serve(ssl=server_ssl_context(), use_aiofastnet=False)
    url = f"wss://127.0.0.1:{plain_net.port(server)}/"
    keys = tmp_path / "keys"
    monkeypatch.setenv("SSLKEYLOGFILE", str(keys))
    logging = ssl.create_default_context()
    certificate_authority().configure_trust(logging)
    monkeypatch.delenv("SSLKEYLOGFILE")
    assert logging.keylog_filename == str(keys)
    transport, listener = await plain_net.connect(url, ssl_context=logging)
    await echoes(transport, listener)
    assert "SECRET" in keys.read_text()

    keys.unlink()
    monkeypatch.setenv("SSLKEYLOGFILE", str(keys))
    with pytest.raises(ssl.SSLCertVerificationError):  # the default context knows no test certificates
        await plain_net.connect(url, no_listener, ssl_context=None)
    assert keys.exists()


class TLSWay(Extension):
    """Makes the TLS of a connection itself, as proxies do."""

    name = "tls-way"
    options = {"way_context": None}

    async def open_connection(self, endpoint: WSParsedURL, options: dict[str, Any]) -> asyncio.Transport:
        connector, protocol = options["connector"], asyncio.Protocol()
        transport = await connector.open_transport(protocol, endpoint)
        try:
            context = options["way_context"] or ssl.create_default_context()
            secured: asyncio.Transport = await connector.start_tls(transport, protocol, context, "localhost")
        except BaseException:
            transport.abort()
            raise
        secured.pause_reading()
        return secured


async def test_tls_contexts_with_callbacks_of_an_extension(
    plain_net: Net, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same holds for TLS that an extension starts, by a context among its options or by the default one."""
    server = await plain_net.serve(ssl=server_ssl_context(), use_aiofastnet=False)
    context = ssl.create_default_context()
    certificate_authority().configure_trust(context)
    url = f"ws://127.0.0.1:{plain_net.port(server)}/"
    for keys in (None, tmp_path / "keys"):
        if keys is not None:
            context.keylog_filename = str(keys)
        transport, listener = await plain_net.connect(url, extensions=[TLSWay()], way_context=context)
        await echoes(transport, listener)
    assert "SECRET" in (tmp_path / "keys").read_text()

    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "others"))
    explicit = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # without callbacks: it says nothing of the extension's
    with pytest.raises(ssl.SSLCertVerificationError):
        await plain_net.connect(url, no_listener, extensions=[TLSWay()], ssl_context=explicit)
    assert (tmp_path / "others").exists()


async def test_no_delay(net: Net) -> None:
    """On both sides: a small frame must not wait for an acknowledgement."""
    server = await net.serve()
    transport, _ = await net.connect(server)
    for side in (transport, next(iter(server.connections))):
        sock = side.underlying_transport.get_extra_info("socket")
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0


@pytest.mark.parametrize("use_aiofastnet", [None, False, True])
async def test_which_transports_are_used(plain_net: Net, use_aiofastnet: bool | None) -> None:
    server = await plain_net.serve(use_aiofastnet=use_aiofastnet)
    transport, _ = await plain_net.connect(server, use_aiofastnet=use_aiofastnet)
    modules = [type(side.underlying_transport).__module__ for side in (transport, next(iter(server.connections)))]
    for module in modules:
        assert module.startswith("aiofastnet") is (use_aiofastnet is True)
        assert (module == "ws_core._socket") is (use_aiofastnet is None)


async def test_the_listener_is_made_after_the_socket(plain_net: Net) -> None:
    order: list[str] = []

    def sockets(url: WSParsedURL) -> None:
        order.append("socket")

    def listeners() -> Recorder:
        order.append("listener")
        return Recorder()

    server = await plain_net.serve()
    await plain_net.connect(server, listeners, socket_factory=sockets)
    assert order == ["socket", "listener"]
    assert isinstance(server, ws_core.WSServer)

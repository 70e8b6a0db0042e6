"""Threads: what refuses another than the loop's, what may be read anywhere, loops that change their thread."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as StillRunning
from importlib.metadata import EntryPoint
from typing import Any

import pytest

from harness import TIMEOUT_S, Echo, Net, Recorder, within
from loops import LOOPS, Kind
from ws_core import (
    Extension,
    TransportHook,
    WSCloseCode,
    WSDisconnectKind,
    WSDisconnectReason,
    WSMsgType,
    WSServer,
    WSTransport,
    extension,
    register_extension,
    registered_extensions,
    ws_connect,
    ws_create_server,
)


def elsewhere(call: Callable[[], Any]) -> Any:
    """What `call` gives or raises in another thread; what can be awaited is awaited there, in a loop of its own."""

    done: Future[Any] = Future()

    def run() -> None:
        async def finish(result: Any) -> Any:
            return await result

        try:
            result = call()
            done.set_result(asyncio.run(finish(result)) if inspect.isawaitable(result) else result)
        except BaseException as exc:
            done.set_exception(exc)

    threading.Thread(target=run, daemon=True).start()
    return done.result(TIMEOUT_S)


def public(cls: type) -> dict[str, bool]:
    """Everything public of a class; whether it is a method."""
    return {name: callable(getattr(cls, name)) for name in dir(cls) if not name.startswith("_")}


# ------------------------------------------------------------------ a transport

REASON = WSDisconnectReason(WSDisconnectKind.LOCAL, "enough", None)
ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "send": (WSMsgType.TEXT, b""),
    "send_reuse_external_bytearray": (WSMsgType.BINARY, bytearray(14), 14),
    "fail": (WSCloseCode.INTERNAL_ERROR, REASON),
    "add_hook": (TransportHook(),),
    "remove_hook": (TransportHook(),),
    "measure_roundtrip_time": (1,),
}
# These make something, or ask the underlying transport. All other attributes are of the moment, and never change their
# object for another one.
REFUSED = {"user_data", "write_backlog_size"}


async def still_echoes(transport: WSTransport, listener: Recorder) -> None:
    transport.send(WSMsgType.TEXT, b"alive")
    assert (await listener.frame()).get_payload_as_bytes() == b"alive"
    assert len(listener.frames) == 1


@pytest.mark.parametrize("name", [name for name, is_method in public(WSTransport).items() if is_method])
async def test_every_method_of_a_transport_refuses_another_thread(one_net: Net, name: str) -> None:
    transport, listener = await one_net.connect(await one_net.serve())
    with pytest.raises(RuntimeError, match=rf"^WSTransport\.{name} .*thread.*call_soon_threadsafe"):
        elsewhere(lambda: getattr(transport, name)(*ARGUMENTS.get(name, ())))
    await still_echoes(transport, listener)


@pytest.mark.parametrize("name", [name for name, is_method in public(WSTransport).items() if not is_method])
async def test_attributes_of_a_transport_in_another_thread(one_net: Net, name: str) -> None:
    transport, listener = await one_net.connect(await one_net.serve())
    if name in REFUSED:
        with pytest.raises(RuntimeError, match=rf"^WSTransport\.{name} .*thread.*call_soon_threadsafe"):
            elsewhere(lambda: getattr(transport, name))
        await still_echoes(transport, listener)
        return
    assert elsewhere(lambda: getattr(transport, name)) == getattr(transport, name)
    await within(transport.close())
    assert elsewhere(lambda: getattr(transport, name)) == getattr(transport, name)


async def test_a_cork_does_not_change_its_thread(one_net: Net) -> None:
    transport, listener = await one_net.connect(await one_net.serve())
    cork = transport.cork()
    with pytest.raises(RuntimeError, match=r"WSTransport\.cork .*thread"):
        elsewhere(cork.__enter__)
    with cork, pytest.raises(RuntimeError, match=r"WSTransport\.cork .*thread"):
        elsewhere(lambda: cork.__exit__(None, None, None))
    await still_echoes(transport, listener)


async def test_repr_in_another_thread(plain_net: Net) -> None:
    """For a log line. The underlying transport describes itself by asking its selector: it is not asked here."""
    transport, _ = await plain_net.connect(await plain_net.serve())
    kind = type(transport.underlying_transport).__name__
    assert repr(transport) == f"<WSTransport client open {transport.underlying_transport!r}>"
    assert elsewhere(lambda: repr(transport)) == f"<WSTransport client open {kind}>"


async def test_what_the_error_says_to_do_works(net: Net) -> None:
    transport, listener = await net.connect(await net.serve())
    loop = asyncio.get_running_loop()

    def in_thread() -> None:
        loop.call_soon_threadsafe(transport.send, WSMsgType.TEXT, "from elsewhere")
        asyncio.run_coroutine_threadsafe(transport.close(), loop).result(TIMEOUT_S)

    await within(asyncio.to_thread(in_thread))
    assert listener.frames[0].get_payload_as_utf8_text() == "from elsewhere"
    assert transport.close_handshake.recv is not None


def test_a_connection_whose_loop_goes_on_in_another_thread(loop_name: str) -> None:
    """asyncio allows it. (aiofastnet does not: its transports stay with the thread that opened them, and say so.)"""
    loop = LOOPS[loop_name]()

    async def start() -> tuple[WSServer, WSTransport, Recorder]:
        server = await ws_create_server(lambda request: Echo(), "127.0.0.1", 0, use_aiofastnet=False)
        transport, listener = await ws_connect(Recorder, f"ws://127.0.0.1:{Net.port(server)}/", use_aiofastnet=False)
        return server, transport, listener  # type: ignore[return-value]

    async def finish(server: WSServer, transport: WSTransport, listener: Recorder) -> None:
        await still_echoes(transport, listener)
        with pytest.raises(RuntimeError, match=r"WSTransport\.send .*thread"):
            elsewhere(lambda: transport.send(WSMsgType.TEXT, b""))
        await within(transport.close())
        await within(server.shutdown())

    with ThreadPoolExecutor(1) as pool:
        server, transport, listener = pool.submit(loop.run_until_complete, start()).result(TIMEOUT_S)
    with pytest.raises(RuntimeError, match=r"WSTransport\.send .*thread"):
        transport.send(WSMsgType.TEXT, b"nobody runs the loop now")
    try:
        loop.run_until_complete(finish(server, transport, listener))
    finally:
        loop.close()
    assert listener.events[-1] == "disconnected"


# ------------------------------------------------------------------ a server

READABLE_OF_A_SERVER = {"connections", "get_loop", "is_serving", "sockets"}


@pytest.mark.parametrize("name", sorted(public(WSServer)))
async def test_a_server_in_another_thread(one_net: Net, name: str) -> None:
    server = await one_net.serve()
    transport, listener = await one_net.connect(server)
    if name in READABLE_OF_A_SERVER:
        value = elsewhere(lambda: server.get_loop() if name == "get_loop" else getattr(server, name))
        assert value is not None
    else:
        with pytest.raises(RuntimeError, match=rf"^WSServer\.{name} .*thread.*call_soon_threadsafe"):
            elsewhere(getattr(server, name))
    assert server.is_serving()
    await still_echoes(transport, listener)
    await one_net.connect(server)
    assert len(server.connections) == 2


async def test_a_server_is_not_shut_down_by_another_threads_async_with(one_net: Net) -> None:
    server = await one_net.serve()

    async def use() -> None:
        async with server:
            pass

    with pytest.raises(RuntimeError, match=r"WSServer\.shutdown .*thread"):
        elsewhere(use)
    assert server.is_serving()


def test_a_server_whose_loop_runs_in_another_thread(loop_name: str, tls: bool, fast: bool | None) -> None:
    """Made here, then the loop is given to a thread: that one is the server's from then on."""
    loop = LOOPS[loop_name]()
    net = Kind(loop_name, tls, fast).net()
    server = loop.run_until_complete(net.serve())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def use() -> None:
        transport, listener = await net.connect(server)
        await still_echoes(transport, listener)
        with pytest.raises(RuntimeError, match=r"WSServer\.close .*thread"):
            elsewhere(server.close)
        await within(transport.close())
        await server.shutdown()
        assert listener.events[-1] == "disconnected"
        await net.aclose()

    try:
        asyncio.run_coroutine_threadsafe(use(), loop).result(TIMEOUT_S)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(TIMEOUT_S)
        loop.close()


def test_a_server_may_be_closed_after_its_loop_has_stopped() -> None:
    """As an asyncio.Server: by the thread that ran the loop, before it runs it again."""
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(ws_create_server(lambda request: Echo(), "127.0.0.1", 0))
    server.close()
    loop.run_until_complete(server.wait_closed())
    loop.close()


# ------------------------------------------------------------------ the registry of extensions


def make(name: str) -> Extension:
    made = Extension()
    made.name = name
    return made


@pytest.fixture
def loading(monkeypatch: pytest.MonkeyPatch) -> Any:
    """An entry point whose import takes its time: `began` is set when it is under way, `go` lets it go on."""

    class Point(EntryPoint):
        began = threading.Event()
        go = threading.Event()
        extension = make("slow")

        def load(self) -> Any:
            self.began.set()
            assert self.go.wait(TIMEOUT_S)
            return self.extension

    point = Point("slow", "nowhere:x", extension.ENTRY_POINT_GROUP)
    monkeypatch.setattr(extension, "_registered", [])
    monkeypatch.setattr(extension, "_entry_points_loaded", False)
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: [point])
    return point


def test_entry_points_that_another_thread_loads_are_waited_for(loading: Any) -> None:
    """Else the first connections of a second thread would miss the options of what is installed."""
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(registered_extensions)
        assert loading.began.wait(TIMEOUT_S)
        second = pool.submit(registered_extensions)
        with pytest.raises(StillRunning):
            second.result(0.05)
        loading.go.set()
        assert first.result(TIMEOUT_S) == second.result(TIMEOUT_S) == (loading.extension,)


def test_an_extension_is_registered_while_entry_points_are_loaded(loading: Any) -> None:
    """By the module that the entry point waits for, which another thread is importing: neither waits for the other."""
    mine = make("mine")
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(registered_extensions)
        assert loading.began.wait(TIMEOUT_S)
        try:
            pool.submit(register_extension, mine).result(TIMEOUT_S)
        finally:
            loading.go.set()
        assert first.result(TIMEOUT_S) == (mine, loading.extension)


def test_an_entry_point_that_asks_for_the_extensions(loading: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the thread that loads it: what is there by now, and it is loaded once."""
    asked: list[tuple[Extension, ...]] = []

    def load() -> Extension:
        asked.append(registered_extensions())
        return loading.extension

    point = type("Asking", (EntryPoint,), {"load": lambda self: load()})("asking", "nowhere:x", "group")
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: [point])
    assert registered_extensions() == (loading.extension,)
    assert asked == [()]

"""The registry: who owns an option, what is asked for when nobody does, hooks attached by extensions."""

from __future__ import annotations

import asyncio
import logging
from importlib.metadata import EntryPoint
from typing import Any

import pytest

import ws_core
from harness import Net, Recorder, client_frame, until, within
from harness import make_extension as make
from ws_core import (
    Extension,
    TransportHook,
    WSFrame,
    WSInvalidStatusError,
    WSMissingExtension,
    WSMsgType,
    WSTransport,
    extension,
    register_extension,
    registered_extensions,
)

pytestmark = pytest.mark.usefixtures("no_extensions")


def test_register() -> None:
    one, two = make("one", a=1), make("two", b=None)
    register_extension(one)
    register_extension(two)
    register_extension(one)
    assert registered_extensions() == (one, two)


def test_two_owners_of_an_option_are_both_named() -> None:
    register_extension(make("first", color="red"))
    with pytest.raises(ValueError, match=r"'color' is owned by both 'first' and 'second'"):
        register_extension(make("second", color="blue"))
    assert len(registered_extensions()) == 1


def test_what_is_no_extension() -> None:
    for wrong in (None, object(), Extension):
        with pytest.raises(TypeError, match="subclass of ws_core.Extension"):
            register_extension(wrong)
    with pytest.raises(ValueError, match="no name"):
        register_extension(Extension())


def test_entry_points_are_loaded_once_and_one_that_fails_is_left_out(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    good = make("good", x=1)
    loads: list[str] = []

    class Point(EntryPoint):
        def load(self) -> Any:
            loads.append(self.name)
            if self.name == "broken":
                raise ImportError("no such module")
            return good

    points = [Point(name, "nowhere:x", extension.ENTRY_POINT_GROUP) for name in ("broken", "fine")]
    monkeypatch.setattr(
        "importlib.metadata.entry_points", lambda group: points if group == "ws_core.extensions" else []
    )
    monkeypatch.setattr(extension, "_entry_points_loaded", False)
    assert registered_extensions() == (good,)
    assert registered_extensions() == (good,)
    assert loads == ["broken", "fine"]
    (record,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert "'broken'" in record.getMessage()


class Attaching(Extension):
    """Owns `spy`: a hook to attach."""

    name = "attaching"
    options = {"spy": None}

    def __init__(self) -> None:
        self.checked: list[tuple[dict[str, Any], bool]] = []

    def check(self, options: dict[str, Any], is_client_side: bool) -> None:
        self.checked.append((options, is_client_side))
        if options["spy"] == "wrong":
            raise ValueError("spy is wrong")

    def attach(self, transport: WSTransport, options: dict[str, Any]) -> TransportHook | None:
        hook: TransportHook | None = options["spy"]
        return hook


class Spy(TransportHook):
    def __init__(self, name: str = "spy", opcodes: Any = None, log: list[str] | None = None) -> None:
        self.name = name
        self.log = [] if log is None else log
        if opcodes is not None:
            self.opcodes = opcodes

    def on_open(self, transport: WSTransport) -> None:
        self.log.append(f"{self.name} open")

    def on_frame(self, transport: WSTransport, frame: WSFrame) -> WSFrame | None:
        self.log.append(f"{self.name} {frame.msg_type.name}")
        return frame

    def on_user_pong(self, transport: WSTransport) -> None:
        self.log.append(f"{self.name} user pong")

    def on_close(self, transport: WSTransport) -> None:
        self.log.append(f"{self.name} close")


async def test_an_extension_acts_only_when_asked(net: Net) -> None:
    attaching = Attaching()
    register_extension(attaching)
    spy = Spy()
    server = await net.serve()
    transport, listener = await net.connect(server, spy=spy)
    transport.send(WSMsgType.TEXT, "x")
    await listener.frame()
    transport.notify_user_specific_pong_received()
    await within(transport.close())
    assert spy.log == ["spy open", "spy TEXT", "spy user pong", "spy CLOSE", "spy close"]
    assert attaching.checked == [({"spy": spy}, True)]
    assert listener.events == ["connected", "frame", "frame", "disconnected"]

    attaching.checked.clear()
    transport, _ = await net.connect(server, spy=None)
    assert attaching.checked == [({"spy": None}, True)]  # given: checked; but it asks for nothing
    await net.connect(server)
    assert len(attaching.checked) == 1
    with pytest.raises(ValueError, match="spy is wrong"):
        await net.connect(server, spy="wrong")
    with pytest.raises(ValueError, match="spy is wrong"):
        await net.serve(spy="wrong")
    assert attaching.checked[-1] == ({"spy": "wrong"}, False)


async def test_extensions_of_one_connection(plain_net: Net) -> None:
    spy = Spy()
    attaching = Attaching()
    server = await plain_net.serve(extensions=[attaching], spy=spy)
    peer = await plain_net.raw(server)
    await peer.send(client_frame(2, b"x"))
    await until(lambda: "spy BINARY" in spy.log)
    with pytest.raises(TypeError, match="spy"):
        await plain_net.connect(server, spy=spy)  # it was for the server only
    assert registered_extensions() == ()
    with pytest.raises(ValueError, match="'attaching' and 'other'"):
        await plain_net.connect(server, extensions=[attaching, make("other", spy=1)])
    with pytest.raises(TypeError, match="subclass of ws_core.Extension"):
        await plain_net.connect(server, extensions=[Spy()])


@pytest.mark.parametrize(
    ("options", "distribution"),
    [
        ({"proxy": "http://127.0.0.1:1"}, "wirelark-ws-proxy"),
        ({"enable_auto_ping": True, "auto_ping_idle_timeout": 1}, "wirelark-ws-autoping"),
        ({"rtt_threshold": 1}, "wirelark-ws-autoping"),
        ({"stall_timeout": 1}, "wirelark-ws-autoping"),
    ],
)
async def test_known_options_that_nobody_owns(options: dict[str, Any], distribution: str) -> None:
    for attempt in (
        ws_core.ws_connect(Recorder, "ws://127.0.0.1:1/", **options),
        ws_core.ws_create_server(lambda request: Recorder(), "127.0.0.1", **options),
    ):
        with pytest.raises(WSMissingExtension, match="pip install") as caught:
            await attempt
        assert caught.value.distribution == distribution


async def test_a_method_that_nobody_serves(one_net: Net) -> None:
    """And a pong of the user's making that nobody waits for is no error."""
    transport, _ = await one_net.connect(await one_net.serve())
    with pytest.raises(WSMissingExtension, match="pip install") as caught:
        await transport.measure_roundtrip_time(1)
    assert caught.value.distribution == "wirelark-ws-autoping"
    transport.notify_user_specific_pong_received()


async def test_an_unknown_option_goes_to_the_loop_which_refuses_it(plain_net: Net) -> None:
    server = await plain_net.serve()
    with pytest.raises(TypeError, match="nonsense"):
        await plain_net.connect(server, nonsense=1)
    with pytest.raises(TypeError, match="nonsense"):
        await plain_net.serve(nonsense=1)


# ------------------------------------------------------------------ hooks


async def pair(net: Net) -> tuple[Recorder, Any]:
    made: list[Recorder] = []
    server = await net.serve(lambda request: made.append(Recorder()) or made[-1])
    peer = await net.raw(server)
    await until(lambda: made and made[0].transport)
    return made[0], peer


async def test_order_interest_consume_and_replace(plain_net: Net) -> None:
    listener, peer = await pair(plain_net)
    log: list[str] = []

    class Consume(Spy):
        def on_frame(self, transport: WSTransport, frame: WSFrame) -> WSFrame | None:
            super().on_frame(transport, frame)
            return None if bytes(frame) == b"consume" else frame

    class Replace(Spy):
        kept: WSFrame | None = None

        def on_frame(self, transport: WSTransport, frame: WSFrame) -> WSFrame | None:
            super().on_frame(transport, frame)
            if self.kept is None:
                self.kept = frame
            return self.kept

    hooks = [
        Spy("texts", [WSMsgType.TEXT], log),
        Consume("consume", log=log),
        Replace("replace", [WSMsgType.TEXT], log),
    ]
    for hook in hooks:
        listener.transport.add_hook(hook)
    await peer.send(
        client_frame(1, b"one") + client_frame(1, b"consume") + client_frame(2, b"three") + client_frame(1, b"4")
    )
    frames = [await listener.frame() for _ in range(3)]
    assert [bytes(frame) for frame in frames] == [b"one", b"three", b"one"]
    assert log == [
        *["texts TEXT", "consume TEXT", "replace TEXT"],
        *["texts TEXT", "consume TEXT"],
        "consume BINARY",
        *["texts TEXT", "consume TEXT", "replace TEXT"],
    ]
    for hook in hooks:
        listener.transport.remove_hook(hook)
    with pytest.raises(ValueError, match="not attached"):
        listener.transport.remove_hook(hooks[0])
    log.clear()
    await peer.send(client_frame(1, b"free"))
    assert bytes(await listener.frame()) == b"free"
    assert log == []


async def test_adding_and_removing_while_frames_flow(one_net: Net) -> None:
    listener, peer = await pair(one_net)

    class Once(Spy):
        def on_frame(self, transport: WSTransport, frame: WSFrame) -> WSFrame | None:
            super().on_frame(transport, frame)
            transport.remove_hook(self)
            if len(self.log) < 5:
                transport.add_hook(Once(f"hook{len(self.log)}", log=self.log))
            return frame

    log: list[str] = []
    listener.transport.add_hook(Once("hook0", log=log))
    await peer.send(client_frame(1, b"x") * 10)
    for _ in range(10):
        await listener.frame()
    assert log == [f"hook{index} TEXT" for index in range(5)]


async def test_hooks_see_pings_before_they_are_answered(plain_net: Net) -> None:
    listener, peer = await pair(plain_net)
    spy = Spy(opcodes=[WSMsgType.PING])
    listener.transport.add_hook(spy)
    await peer.send(client_frame(9, b"p"))
    assert await peer.frame() == (0x8A, b"p")
    assert spy.log == ["spy PING"]

    class Swallow(TransportHook):
        opcodes = (WSMsgType.PING,)

        def on_frame(self, transport: WSTransport, frame: WSFrame) -> WSFrame | None:
            transport.send(WSMsgType.TEXT, "mine")
            return None

    listener.transport.add_hook(Swallow())
    await peer.send(client_frame(9, b"p"))
    assert await peer.frame() == (0x81, b"mine")
    assert listener.events == ["connected"]


@pytest.mark.parametrize("where", ["on_open", "on_frame", "wrong return", "on_close"])
async def test_a_hook_that_raises_ends_the_connection(net: Net, where: str) -> None:
    class Raising(TransportHook):
        def fail(self, at: str) -> None:
            if at == where:
                raise RuntimeError("hook")

        def on_open(self, transport: WSTransport) -> None:
            self.fail("on_open")

        def on_frame(self, transport: WSTransport, frame: WSFrame) -> Any:
            self.fail("on_frame")
            return "nonsense" if where == "wrong return" else frame

        def on_close(self, transport: WSTransport) -> None:
            self.fail("on_close")

    register_extension(Attaching())
    server = await net.serve()
    transport, listener = await net.connect(server, spy=Raising())
    transport.send(WSMsgType.TEXT, "x")
    if where == "on_close":
        transport.disconnect()
    with pytest.raises(TypeError if where == "wrong return" else RuntimeError):
        await within(transport.wait_disconnected())
    assert listener.events[0] == "connected"
    assert listener.events[-1] == "disconnected"


async def test_what_is_no_hook(one_net: Net) -> None:
    listener, _ = await pair(one_net)
    for wrong in (None, object(), Spy):
        with pytest.raises(TypeError, match="TransportHook"):
            listener.transport.add_hook(wrong)
    with pytest.raises(ValueError, match="not attached"):
        listener.transport.remove_hook(None)


async def test_attach_may_send(net: Net) -> None:
    """What it sends stands behind the upgrade."""

    class Greeting(Extension):
        name = "greeting"

        def attach(self, transport: WSTransport, options: dict[str, Any]) -> None:
            transport.send(WSMsgType.TEXT, "welcome")

    listener = Recorder()
    peer = await net.raw(await net.serve(lambda request: listener, extensions=[Greeting()]))
    listener.transport.send(WSMsgType.TEXT, "and more")
    assert [await peer.frame() for _ in range(2)] == [(0x81, b"welcome"), (0x81, b"and more")]
    server = await net.serve()
    _, client = await net.connect(server, extensions=[Greeting()])
    assert (await client.frame()).get_payload_as_bytes() == b"welcome"


class Elsewhere(Extension):
    """Owns `elsewhere`: an address to listen at, in its own way; None: nowhere; an exception: raised."""

    name = "elsewhere"
    options = {"elsewhere": ...}

    async def open_server(self, protocol_factory: Any, options: dict[str, Any]) -> asyncio.Server | None:
        where = options["elsewhere"]
        if isinstance(where, Exception):
            raise where
        if where is None:
            return None
        return await asyncio.get_running_loop().create_server(protocol_factory, *where)


async def test_a_server_elsewhere(plain_net: Net) -> None:
    """Where the connections come from is the extension's; all else is as ever, the end of it, too."""
    register_extension(Elsewhere())
    server = await plain_net.serve(
        host="nowhere.invalid", elsewhere=("127.0.0.1", 0), subprotocols=["chat"], max_connections=1
    )
    assert server.is_serving()
    transport, listener = await plain_net.connect(server, subprotocols=["chat"])
    assert transport.subprotocol == "chat"
    transport.send(WSMsgType.TEXT, "hello")
    assert bytes(await listener.frame()) == b"hello"
    assert len(server.connections) == 1
    with pytest.raises(WSInvalidStatusError, match="503"):
        await plain_net.connect(server)
    shutdown = asyncio.create_task(server.shutdown())
    assert (await listener.frame()).get_close_code() == 1001
    transport.send_close(1001)
    transport.disconnect()
    await within(shutdown)
    await listener.event("disconnected")
    assert not server.is_serving()


async def test_no_server_elsewhere(plain_net: Net) -> None:
    register_extension(Elsewhere())
    server = await plain_net.serve(elsewhere=None)
    transport, _ = await plain_net.connect(server)
    assert not transport.is_disconnected
    with pytest.raises(OSError, match="no cable"):
        await plain_net.serve(elsewhere=OSError("no cable"))

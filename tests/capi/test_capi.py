"""The C API, used by strangers: listeners and hooks in C, C++ and Cython that were built from the installed wheel."""

from __future__ import annotations

import asyncio
import gc
import threading
from types import ModuleType
from typing import Any

import pytest

import ws_core
from harness import Net, Recorder, frame_bytes, until, within
from ws_core import Extension, TransportHook, WSFrame, WSListener, WSMsgType, WSTransport

FIN = 0x80
TEXT = FIN | WSMsgType.TEXT
BINARY = FIN | WSMsgType.BINARY
SIZES = [0, 1, 125, 126, 65535, 65536, 1 << 20]


async def released(log: list[str]) -> None:
    """Until the listener or hook behind `log` has gone, exactly once and last of all."""

    def gone() -> bool:
        gc.collect()
        return "released" in log

    await until(gone)
    assert log.count("released") == 1
    assert log[-1] == "released"


# ---- listeners made of functions


async def test_a_listener_made_of_functions_echoes(net: Net, plain: ModuleType) -> None:
    log: list[str] = []
    server = await net.serve(lambda request: plain.echo_listener(log))
    transport, client = await net.connect(server)
    for size in SIZES:
        transport.send(WSMsgType.BINARY, b"x" * size)
        assert (await client.frame()).get_payload_as_bytes() == b"x" * size
    transport.send(WSMsgType.TEXT, "first", fin=False)
    transport.send(WSMsgType.CONTINUATION, "last")
    first, last = await client.frame(), await client.frame()
    assert (first.msg_type, first.fin, last.msg_type, last.fin) == (WSMsgType.TEXT, False, WSMsgType.CONTINUATION, True)
    await transport.close()
    assert transport.close_handshake.recv.reason == "bye"
    await until(lambda: "disconnected" in log)
    await released(log)
    assert log == ["connected", "disconnected", "released"]


@pytest.mark.parametrize(
    ("text", "error"), [("raise", ValueError), ("raise and say 0", ValueError), ("forget", SystemError)]
)
async def test_an_error_in_c_ends_the_connection(one_net: Net, plain: ModuleType, text: str, error: Any) -> None:
    server_side: list[Recorder] = []
    server = await one_net.serve(lambda request: server_side.append(Recorder()) or server_side[0])
    transport, _ = await one_net.connect(server, lambda: plain.echo_listener([]))
    await until(lambda: server_side[0].transport)
    server_side[0].transport.send(WSMsgType.TEXT, text)
    with pytest.raises(error, match="raised in C|on_frame of a C listener"):
        await within(transport.wait_disconnected())
    assert (await server_side[0].frame()).get_close_code() == 1011


async def test_a_listener_made_of_functions_is_paused_and_resumed(plain_net: Net, plain: ModuleType) -> None:
    log: list[str] = []
    server = await plain_net.serve(lambda request: plain.echo_listener(log))
    peer = await plain_net.raw(server)
    await until(lambda: server.connections)
    (transport,) = server.connections
    while "pause" not in log:
        transport.send(WSMsgType.BINARY, bytes(1 << 20))
        await asyncio.sleep(0)
    while "resume" not in log:
        assert await within(peer.reader.read(1 << 20))
    assert log == ["connected", "pause", "resume"]


async def test_without_on_write_backlog_the_connection_is_cut(one_net: Net, plain: ModuleType) -> None:
    log: list[str] = []
    server = await one_net.serve(lambda request: plain.echo_listener(log), max_write_backlog=1000)
    await one_net.raw(server)
    await until(lambda: server.connections)
    (transport,) = server.connections
    for _ in range(64):
        transport.send(WSMsgType.BINARY, bytes(1 << 20))
    await until(lambda: "disconnected" in log)
    assert "max_write_backlog" in str(transport.disconnect_reason)


# ---- hooks made of functions


class Attached(Extension):
    """Gives every connection the same hook."""

    name = "attached"

    def __init__(self, hook: Any) -> None:
        self.hook = hook

    def attach(self, transport: WSTransport, options: dict[str, Any]) -> Any:
        return self.hook


async def hooked(net: Net, hook: Any) -> tuple[Recorder, WSTransport, Recorder]:
    """The server's recorder, a client's transport that `hook` is attached to, its recorder."""
    server, client = await net.pair(client_kwargs={"extensions": [Attached(hook)]})
    assert client.transport is not None
    return server, client.transport, client


async def test_a_hook_made_of_functions(net: Net, plain: ModuleType) -> None:
    log: list[str] = []
    hook = plain.shout_hook(log)
    assert plain.log_of(hook) is log
    server, transport, client = await hooked(net, hook)
    for text in ("hello", "drop", "again"):
        server.transport.send(WSMsgType.TEXT, text)
    server.transport.send(WSMsgType.BINARY, b"as it is")
    for payload in (b"HELLO", b"AGAIN", b"as it is"):
        assert (await client.frame()).get_payload_as_bytes() == payload
    transport.send(WSMsgType.TEXT, "secret: nobody gets it")
    for payload in (b"hello", b"x" * 70000):
        transport.send(WSMsgType.TEXT, payload)
        assert (await server.frame()).get_payload_as_bytes() == payload + b"!"
    transport.notify_user_specific_pong_received()
    await transport.close(timeout=0)
    await client.event("disconnected")
    assert log == ["open", "user pong", "close"]
    del hook, transport, client, server
    for net_transport in net._transports:
        net_transport.user_data.clear()
    await released(log)


async def test_a_hook_made_of_functions_comes_and_goes(one_net: Net, plain: ModuleType, sender: ModuleType) -> None:
    server, client = await one_net.pair()
    log: list[str] = []
    hook = plain.shout_hook(log)
    for add, remove in (
        (client.transport.add_hook, client.transport.remove_hook),
        (
            lambda hook: sender.add_hook(client.transport, hook),
            lambda hook: sender.remove_hook(client.transport, hook),
        ),
    ):
        add(hook)
        client.transport.send(WSMsgType.TEXT, "with")
        assert (await server.frame()).get_payload_as_bytes() == b"with!"
        remove(hook)
        client.transport.send(WSMsgType.TEXT, "without")
        assert (await server.frame()).get_payload_as_bytes() == b"without"
        with pytest.raises(ValueError, match="is not attached"):
            remove(hook)
    del hook, add, remove
    await released(log)


async def test_hooks_in_c_and_python_share_a_chain(one_net: Net, plain: ModuleType, sender: ModuleType) -> None:
    class Louder(TransportHook):
        def on_frame(self, transport: WSTransport, frame: WSFrame) -> WSFrame:
            return frame.replace(payload=frame.get_payload_as_bytes() + b"!!")

    server, client = await one_net.pair()
    louder = Louder()
    sender.add_hook(client.transport, louder)
    client.transport.add_hook(plain.shout_hook([]))
    server.transport.send(WSMsgType.TEXT, "hey")
    assert (await client.frame()).get_payload_as_bytes() == b"HEY!!"
    sender.remove_hook(client.transport, louder)
    server.transport.send(WSMsgType.TEXT, "hey")
    assert (await client.frame()).get_payload_as_bytes() == b"HEY"
    with pytest.raises(TypeError, match="neither a listener nor a hook of the C API"):
        plain.log_of(louder)


@pytest.mark.parametrize(
    ("text", "error", "match"),
    [
        ("raise in hook", ValueError, "raised in a hook"),
        ("raise and pass", ValueError, "raised in a hook"),
        ("forget in hook", SystemError, "on_frame returned -1 without setting an exception"),
        ("no frame", SystemError, "WS_HOOK_REPLACE and gave no frame"),
        ("no verdict", SystemError, "on_frame returned 7"),
    ],
)
async def test_a_wrong_hook_ends_the_connection(
    one_net: Net, plain: ModuleType, text: str, error: Any, match: str
) -> None:
    server, transport, _ = await hooked(one_net, plain.shout_hook([]))
    server.transport.send(WSMsgType.TEXT, text)
    with pytest.raises(error, match=match):
        await within(transport.wait_disconnected())


# ---- the functions that send


async def test_sending_copies_or_works_in_place(net: Net, sender: ModuleType) -> None:
    server, client = await net.pair()
    for here, there in ((client, server), (server, client)):
        for send in (sender.send, sender.send_in_place):
            for size in SIZES:
                payload = bytes(range(256)) * (size // 256) + b"z" * (size % 256)
                send(here.transport, BINARY, payload)
                assert (await there.frame()).get_payload_as_bytes() == payload
    sender.send(client.transport, WSMsgType.TEXT, None)  # not the last one of its message
    frame = await server.frame()
    assert (frame.msg_type, frame.fin, len(frame)) == (WSMsgType.TEXT, False, 0)


async def test_control_frames_and_the_end(one_net: Net, sender: ModuleType) -> None:
    server, client = await one_net.pair(server_kwargs={"enable_auto_pong": False})
    sender.ping_and_pong(client.transport, b"?")
    assert [(await server.frame()).msg_type for _ in range(2)] == [WSMsgType.PING, WSMsgType.PONG]
    for code, reason, match in [
        (999, None, "must not be sent"),
        (0, "why", "a reason needs a status code"),
        (1000, "x" * 124, "limited to 123 bytes"),
    ]:
        with pytest.raises(ValueError, match=match):
            sender.send_close(client.transport, code, reason)
    sender.send_close(client.transport, 4000, "enough")
    frame = await server.frame()
    assert (frame.get_close_code(), frame.get_close_reason()) == (4000, "enough")
    sender.send(client.transport, TEXT, b"nobody gets it")
    sender.disconnect(client.transport)
    sender.disconnect(client.transport)
    await client.event("disconnected")
    assert sender.backlog(client.transport) == 0
    with pytest.raises(RuntimeError, match="the connection is gone"):
        sender.add_hook(client.transport, TransportHook())


async def test_cork_gathers(one_net: Net, sender: ModuleType) -> None:
    server, client = await one_net.pair()
    assert sender.gather(server.transport) == 3 * (2 + 8)
    assert sender.backlog(server.transport) == 0
    for _ in range(3):
        assert (await client.frame()).get_payload_as_bytes() == b"gathered"
    with server.transport.cork(), pytest.raises(RuntimeError, match="without a cork"):
        sender.uncork(server.transport)


async def test_bad_arguments_are_errors(one_net: Net, sender: ModuleType) -> None:
    server, client = await one_net.pair()
    for first, match in [
        (0x83, "not the first byte"),
        (-1, "not the first byte"),
        (0x182, "not the first byte"),
        (FIN | 8, "send_close"),
        (9, "cannot be fragmented"),
    ]:
        for send in (sender.send, sender.send_in_place):
            with pytest.raises(ValueError, match=match):
                send(client.transport, first, b"")
    for send in (sender.send, sender.send_in_place):
        with pytest.raises(ValueError, match="125 bytes"):
            send(client.transport, FIN | 9, b"x" * 126)
    client.transport.send(WSMsgType.TEXT, "still alive")
    frame = await server.frame()
    for first in (256, -1, FIN | 3, FIN | 0xB):
        with pytest.raises(ValueError, match="not the first byte"):
            sender.frame_replace(frame, first, b"", 0)
    with pytest.raises(ValueError, match="negative"):
        sender.frame_replace(frame, TEXT, b"", -1)
    with pytest.raises(ValueError, match="is NULL"):
        sender.frame_replace(frame, TEXT, None, 1)


@pytest.mark.parametrize(
    ("first", "match"),
    [(FIN | 3, "reserved opcode 3"), (FIN | 8, "CLOSE"), (FIN | 9, "control frame of a message")],
)
async def test_what_on_send_cannot_make_of_a_message(one_net: Net, sender: ModuleType, first: int, match: str) -> None:
    _, client = await one_net.pair()
    client.transport.add_hook(sender.renaming_hook(first))
    client.transport.send(WSMsgType.TEXT, "hello")
    with pytest.raises(ValueError, match=match):
        await within(client.transport.wait_disconnected())


@pytest.mark.parametrize("wrong", [None, 1, WSListener()], ids=lambda wrong: type(wrong).__name__)
def test_what_is_no_transport_and_no_frame_is_a_type_error(sender: ModuleType, wrong: Any) -> None:
    for call in (
        lambda: sender.send(wrong, TEXT, b""),
        lambda: sender.send_in_place(wrong, TEXT, b""),
        lambda: sender.ping_and_pong(wrong, b""),
        lambda: sender.send_close(wrong, 1000, None),
        lambda: sender.gather(wrong),
        lambda: sender.uncork(wrong),
        lambda: sender.disconnect(wrong),
        lambda: sender.backlog(wrong),
        lambda: sender.user_data(wrong),
        lambda: sender.add_hook(wrong, TransportHook()),
        lambda: sender.remove_hook(wrong, TransportHook()),
        lambda: sender.frame_fields(wrong),
        lambda: sender.frame_replace(wrong, TEXT, b"", 0),
        lambda: sender.context_is_null(wrong),
    ):
        with pytest.raises(TypeError):
            call()


async def test_another_thread_is_refused(one_net: Net, sender: ModuleType) -> None:
    _, client = await one_net.pair()
    errors: list[Exception] = []

    def run() -> None:
        for call in (
            lambda: sender.send(client.transport, TEXT, b""),
            lambda: sender.send_in_place(client.transport, TEXT, b""),
            lambda: sender.gather(client.transport),
            lambda: sender.send_close(client.transport, 1000, None),
            lambda: sender.disconnect(client.transport),
            lambda: sender.add_hook(client.transport, TransportHook()),
        ):
            try:
                call()
            except Exception as exc:
                errors.append(exc)

    thread = threading.Thread(target=run)
    thread.start()
    await asyncio.get_running_loop().run_in_executor(None, thread.join)
    assert len(errors) == 6
    for error in errors:
        assert isinstance(error, RuntimeError)
        assert "call_soon_threadsafe" in str(error)


async def test_frames_and_user_data(one_net: Net, sender: ModuleType) -> None:
    server, client = await one_net.pair()
    client.transport.send(WSMsgType.TEXT, "hello")
    frame = await server.frame()
    assert sender.frame_fields(frame) == (TEXT, b"hello", 1)
    replaced = sender.frame_replace(frame, WSMsgType.BINARY, b"other", 5)
    assert sender.frame_fields(replaced) == (WSMsgType.BINARY, b"other", 1)
    assert sender.frame_fields(sender.frame_replace(frame, TEXT, None, 0)) == (TEXT, b"", 1)
    assert sender.user_data(client.transport) is client.transport.user_data


@pytest.mark.parametrize("size", SIZES)
def test_bytes_without_a_connection(sender: ModuleType, size: int) -> None:
    payload = b"p" * size
    assert sender.frame_bytes(payload, None) == frame_bytes(WSMsgType.BINARY, payload)
    mask = b"\x01\x02\x03\x04"
    assert sender.frame_bytes(payload, mask) == frame_bytes(WSMsgType.BINARY, payload, mask=mask)


@pytest.mark.parametrize("of_hook", [False, True], ids=["listener", "hook"])
def test_structs_say_how_large_they_are(sender: ModuleType, of_hook: bool) -> None:
    assert sender.context_is_null(sender.with_struct_size(of_hook, False, 0)) is True
    sender.with_struct_size(of_hook, True, 0)  # what lies behind its end is not looked at
    sender.with_struct_size(of_hook, False, 64)  # made for a later core, and asks for nothing new
    with pytest.raises(ValueError, match="does not have yet"):
        sender.with_struct_size(of_hook, True, 64)
    with pytest.raises(ValueError, match="at least"):
        sender.with_struct_size(of_hook, False, -1)
    with pytest.raises(ValueError, match="must be sizeof"):
        sender.with_struct_size(of_hook, False, 1 << 30)  # never set: what is there is nobody's memory


def test_types_and_versions(sender: ModuleType) -> None:
    assert sender.types() == (WSTransport, WSFrame, WSListener)
    assert ws_core.abi_version == 0 << 16 | 1


# ---- Cython


async def test_a_cython_listener(net: Net, cython_listener: ModuleType) -> None:
    made: list[Any] = []
    server = await net.serve(lambda request: made.append(cython_listener.EchoListener()) or made[0])
    transport, client = await net.connect(server)
    await until(lambda: made[0].transport)
    before = cython_listener.lookups()
    for number in range(50):
        transport.send(WSMsgType.TEXT, str(number))
        assert (await client.frame()).get_payload_as_utf8_text() == str(number)
        transport.send(WSMsgType.BINARY, b"in place")
        assert (await client.frame()).get_payload_as_bytes() == b"ecalp ni"
    await transport.close()
    await until(lambda: not server.connections)
    assert cython_listener.lookups() == before, "a method was looked up by name"
    assert made[0].frames == 101
    assert cython_listener.lookups() > before, "the test cannot fail"


async def test_a_cython_hook(net: Net, cython_hook: ModuleType) -> None:
    hook, counter = cython_hook.counting_hook()
    server, transport, client = await hooked(net, hook)
    before = cython_hook.lookups()
    for _ in range(50):
        server.transport.send(WSMsgType.BINARY, b"12345")
        await client.frame()
        transport.send(WSMsgType.BINARY, b"abc")
        assert (await server.frame()).get_payload_as_bytes() == b"cba"
    server.transport.send(WSMsgType.BINARY, b"")
    server.transport.send(WSMsgType.TEXT, "seen next")
    assert (await client.frame()).get_payload_as_bytes() == b"seen next"
    await transport.close(timeout=0)
    await client.event("disconnected")
    assert cython_hook.lookups() == before, "an attribute was looked up by name"
    assert (counter.frames, counter.size, counter.closed) == (51, 250, True)
    assert cython_hook.lookups() > before, "the test cannot fail"

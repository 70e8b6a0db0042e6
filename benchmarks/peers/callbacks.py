"""ws_core and picows, whose listeners look alike: the same code measures both."""

from __future__ import annotations

import asyncio
import importlib
import time
from collections.abc import Callable
from typing import Any

from benchmarks.peers import tls


class Peer:
    def __init__(self, lib: Any, settings: dict[str, Any], listeners: dict[str, Callable[[], Any]]):
        self._lib = lib
        self._settings = {"max_frame_size": 1 << 30, **settings}  # `large` sends 64 MiB
        self._listeners = listeners

    async def connect(self, port: int, mode: str, proxy: str = "-") -> Any:
        mode, *hooks = mode.split("/")
        if mode not in self._listeners:
            return None
        path = "feed" if mode.startswith("feed") else "echo"
        transport, listener = await self._lib.ws_connect(
            self._listeners[mode], tls.address(port, path), **self._settings, **_options(proxy)
        )
        if hooks:
            from benchmarks.peers.hooks import attach

            attach(transport, *hooks)
        return listener

    async def dial(self, port: int, proxy: str, count: int) -> str:
        """Connect `count` times, one after the other. Only connecting is on the clocks, not the end of a connection."""
        url, options = tls.address(port, "echo"), {**self._settings, **_options(proxy)}
        wall = cpu = 0
        for _ in range(count):
            wall_before, cpu_before = time.perf_counter_ns(), time.process_time_ns()
            transport, _ = await self._lib.ws_connect(self._listeners["echo"], url, **options)
            wall += time.perf_counter_ns() - wall_before
            cpu += time.process_time_ns() - cpu_before
            transport.disconnect()
            await transport.wait_disconnected()
        return f"ok wall={wall} cpu={cpu} user=0 sys=0"

    async def serve(self) -> int:
        echo = self._listeners["echo"]
        rooms = {b"/room": self._listeners.get("room", echo)}
        self._server = await self._lib.ws_create_server(
            lambda request: rooms.get(request.path, echo)(),
            "127.0.0.1",
            0,
            ssl=tls.server_context(),
            **self._settings,
        )
        port: int = self._server.sockets[0].getsockname()[1]
        return port


def _options(proxy: str) -> dict[str, Any]:
    """`proxy`: a URL, or "-" for none."""
    own = {"ssl_context": tls.client_context()}
    if proxy == "-":
        return own
    return {**own, "proxy": proxy, "proxy_ssl_context": tls.trusting() if proxy.startswith("https") else None}


def make(library: str, settings: dict[str, Any]) -> Peer:
    """With the listeners below; "+cython": with those of listener_modules/."""
    name, *variants = library.split("+")
    lib = importlib.import_module(name)
    if "cython" in variants:
        return Peer(lib, settings, importlib.import_module(f"bench_listeners_{name}").LISTENERS)
    return Peer(lib, settings, _listeners(lib))


def _ways(lib: Any) -> dict[str, Callable[[list[Any], list[bytes]], None]]:
    """How messages get to all members of a room. "-": the way that this library is made for."""
    BINARY = lib.WSMsgType.BINARY

    def send(members: list[Any], messages: list[bytes]) -> None:
        for message in messages:
            for transport in members:
                transport.send(BINARY, message)

    def cork(members: list[Any], messages: list[bytes]) -> None:
        for transport in members:
            with transport.cork():
                for message in messages:
                    transport.send(BINARY, message)

    def broadcast(members: list[Any], messages: list[bytes]) -> None:
        for message in messages:
            lib.broadcast(members, BINARY, message)

    def of_a_list(members: list[Any], messages: list[bytes]) -> None:
        lib.broadcast(members, BINARY, messages)

    if lib.__name__ == "ws_core":
        return {"-": of_a_list, "broadcast": broadcast, "cork": cork, "send": send}
    return {"-": send}


def _listeners(lib: Any) -> dict[str, Callable[[], Any]]:
    """Classes that derive from this library's WSListener."""
    WSMsgType = lib.WSMsgType
    BINARY = WSMsgType.BINARY

    class Echo(lib.WSListener):  # type: ignore[misc]
        def on_ws_frame(self, transport: Any, frame: Any) -> None:
            transport.send(BINARY, frame.get_payload_as_bytes())

    members: list[Any] = []
    ways = _ways(lib)

    class Room(lib.WSListener):  # type: ignore[misc]
        def on_ws_connected(self, transport: Any) -> None:
            members.append(transport)

        def on_ws_disconnected(self, transport: Any) -> None:
            members.remove(transport)

        def on_ws_frame(self, transport: Any, frame: Any) -> None:
            messages, size, way = frame.get_payload_as_utf8_text().split()
            ways[way](members, [bytes(int(size))] * int(messages))

    class Client(lib.WSListener):  # type: ignore[misc]
        transport: Any

        def on_ws_connected(self, transport: Any) -> None:
            self.transport = transport

        def prepare(self, size: int) -> asyncio.Future[None]:
            self.message = bytes(size)
            self.done = asyncio.get_running_loop().create_future()
            return self.done

    class RTT(Client):
        async def run(self, count: int, size: int, length: int) -> None:
            done = self.prepare(size)
            self.left = count
            self.transport.send(BINARY, self.message)
            await done

        def on_ws_frame(self, transport: Any, frame: Any) -> None:
            frame.get_payload_as_bytes()
            self.left -= 1
            if self.left:
                transport.send(BINARY, self.message)
            else:
                self.done.set_result(None)

    class Burst(Client):
        async def run(self, count: int, size: int, length: int) -> None:
            done = self.prepare(size)
            self.bursts = count
            self.length = length
            self.send_burst()
            await done

        def send_burst(self) -> None:
            self.left = self.length
            send, message = self.transport.send, self.message
            for _ in range(self.length):
                send(BINARY, message)

        def on_ws_frame(self, transport: Any, frame: Any) -> None:
            frame.get_payload_as_bytes()
            self.left -= 1
            if not self.left:
                self.bursts -= 1
                if self.bursts:
                    self.send_burst()
                else:
                    self.done.set_result(None)

    class Feed(Client):
        opcode = int(BINARY)

        async def run(self, count: int, size: int, length: int) -> None:
            done = self.prepare(0)
            self.left = count
            self.transport.send(WSMsgType.TEXT, f"{count} {size} {self.opcode}".encode())
            await done

        def on_ws_frame(self, transport: Any, frame: Any) -> None:
            self.left -= 1
            if not self.left:
                self.done.set_result(None)

    class FeedBytes(Feed):
        def on_ws_frame(self, transport: Any, frame: Any) -> None:
            frame.get_payload_as_bytes()
            self.left -= 1
            if not self.left:
                self.done.set_result(None)

    class FeedStr(Feed):
        opcode = int(WSMsgType.TEXT)

        def on_ws_frame(self, transport: Any, frame: Any) -> None:
            frame.get_payload_as_utf8_text()
            self.left -= 1
            if not self.left:
                self.done.set_result(None)

    class FeedMsgType(Feed):
        def on_ws_frame(self, transport: Any, frame: Any) -> None:
            if frame.msg_type == WSMsgType.TEXT:
                raise ValueError("TEXT where BINARY was asked for")
            self.left -= 1
            if not self.left:
                self.done.set_result(None)

    class FeedBatch(Feed):
        def on_ws_frames(self, transport: Any, frames: list[Any]) -> None:
            self.left -= len(frames)
            if not self.left:
                self.done.set_result(None)

    class FeedCustom(Feed):
        """Pings and pongs of the user's making. The ping is sent to nobody: from the first one on, a pong is waited
        for."""

        pinged = False

        def send_user_specific_ping(self, transport: Any) -> None:
            self.pinged = True

        def is_user_specific_pong(self, frame: Any) -> bool:
            return bool(frame.payload_size == 4)

    class FeedExpecting(FeedCustom):
        """For PING_PERIODICALLY, which pings without being idle."""

        async def run(self, count: int, size: int, length: int) -> None:
            while not self.pinged:
                await asyncio.sleep(0.01)
            await super().run(count, size, length)

    modes: dict[str, Callable[[], Any]] = {
        **{"echo": Echo, "room": Room, "rtt": RTT, "burst": Burst},
        **{"feed-none": Feed, "feed-bytes": FeedBytes, "feed-str": FeedStr, "feed-msgtype": FeedMsgType},
        **{"feed-custom": FeedCustom, "feed-expecting": FeedExpecting},
    }
    if lib.__name__ == "ws_core":  # picows would never call it
        modes["feed-batch"] = FeedBatch
    return modes

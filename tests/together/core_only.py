"""`nox -s core_only`: nothing but core's wheel and its dependencies is installed.

Not a pytest file, since pytest is not there. It echoes over a real socket, and sees that what the other
distributions bring is asked for with a pip command.
"""

from __future__ import annotations

import asyncio
import importlib.util
from importlib.metadata import distributions

import ws_core
from ws_core import WSFrame, WSListener, WSMissingExtension, WSMsgType, WSTransport, ws_connect, ws_create_server


class Echo(WSListener):
    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()
        else:
            transport.send(frame.msg_type, frame)


class Client(WSListener):
    def __init__(self) -> None:
        self.answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.TEXT:
            self.answer.set_result(frame.get_payload_as_utf8_text())


async def expect_missing(distribution: str, extra: str, **option: object) -> None:
    for attempt in (
        ws_connect(Client, "ws://127.0.0.1:1/", **option),
        ws_create_server(lambda request: Echo(), "127.0.0.1", **option),
    ):
        try:
            await attempt
        except WSMissingExtension as exc:
            assert f"pip install 'wirelark-ws-core[{extra}]'" in str(exc), exc
            assert exc.distribution == distribution
            print(f"{option}: {exc}")
        else:
            raise AssertionError(f"{option} was ignored")


async def main() -> None:
    installed = {distribution.metadata["Name"].lower() for distribution in distributions()}
    assert "wirelark-ws-core" in installed
    assert not {"wirelark-ws-proxy", "wirelark-ws-autoping", "wirelark-ws-types", "python-socks"} & installed, installed
    for name in ("ws_proxy", "ws_autoping"):
        assert importlib.util.find_spec(name) is None
    assert ws_core.registered_extensions() == ()

    server = await ws_create_server(lambda request: Echo(), "127.0.0.1")
    port = server.sockets[0].getsockname()[1]
    # Options that ask for nothing are no reason to complain.
    inert = {"proxy": None, "enable_auto_ping": False, "auto_ping_idle_timeout": 3}
    transport, client = await ws_connect(Client, f"ws://127.0.0.1:{port}/", **inert)
    transport.send(WSMsgType.TEXT, "core alone")
    assert await asyncio.wait_for(client.answer, 10) == "core alone"

    await expect_missing("wirelark-ws-proxy", "proxy", proxy="socks5://127.0.0.1:1080")
    await expect_missing("wirelark-ws-autoping", "autoping", enable_auto_ping=True)
    try:
        await transport.measure_roundtrip_time(1)
    except WSMissingExtension as exc:
        print(f"measure_roundtrip_time: {exc}")
    else:
        raise AssertionError("measure_roundtrip_time did not ask for wirelark-ws-autoping")

    await transport.close()
    await server.shutdown()
    print(f"core alone works: {sorted(installed)}")


asyncio.run(main())

"""examples/reconnecting.py, run as a person would run it."""

from __future__ import annotations

from typing import Any

from example import output_of, run_example

from harness import Echo, Net, until
from ws_core import WSCloseCode, WSFrame, WSMsgType, WSTransport


async def test_with_a_server_of_its_own() -> None:
    lines = await output_of("reconnecting.py")
    said = [line for line in lines if not line.endswith(" s")]
    for number in (1, 2, 3):
        # What a server and its client say at the same time comes in any order.
        assert said.index(f"received: I am server {number}") // 3 == number - 1, lines
        assert said.index(f"server {number} shuts down") // 3 == number - 1, lines
    assert said.count("connected") == 3
    assert len(said) == 9
    assert sum("the peer sent CLOSE 1012; connecting again in" in line for line in lines) >= 2, lines


async def test_with_a_server_of_somebody_elses(one_net: Net) -> None:
    codes: list[int] = []

    class Closing(Echo):
        def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> Any:
            if frame.msg_type == WSMsgType.CLOSE:
                codes.append(frame.get_close_code())
            super().on_ws_frame(transport, frame)

    server = await one_net.serve(lambda request: Closing())
    async with run_example("reconnecting.py", one_net.url(server)) as example:
        for connection in range(2):
            if connection:
                server.abort_clients()
                assert "connecting again in" in await example.line()
            assert await example.line() == "connected"
            assert await example.line() == "received: hello"
        assert await example.interrupt() == []
    assert codes == [WSCloseCode.OK]  # also the end by Ctrl-C is a proper one
    await until(lambda: not server.connections)

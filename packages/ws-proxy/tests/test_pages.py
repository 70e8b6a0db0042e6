"""The calls that the README and the guide show, through a proxy."""

from __future__ import annotations

import ast
import re
from typing import Any

import pytest
from pages import ROOT, blocks

import ws_core
from harness import Recorder, within
from proxies import Park

PAGES = [("packages/ws-proxy/README.md", "pproxy socks5 auth"), ("docs/guides/proxies.md", "pproxy http")]


@pytest.mark.parametrize(("page", "which"), PAGES)
async def test_the_call_runs(park: Park, page: str, which: str) -> None:
    (block,) = (block for block in blocks(ROOT / page) if block.language == "python")
    async with await ws_core.ws_create_server(lambda request: Recorder(), "127.0.0.1") as server:
        port = server.sockets[0].getsockname()[1]
        code = re.sub(r'"wss://[^"]*"', repr(f"ws://127.0.0.1:{port}/"), block.code)
        code = re.sub(r'(?<=proxy=)"\w+://[^"]*"', repr(park.url(which)), code)
        namespace: dict[str, Any] = {"Client": Recorder, "Listener": Recorder, "ws_connect": ws_core.ws_connect}
        await within(eval(compile(code, page, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), namespace))
        transport = namespace["transport"]
        assert transport.underlying_transport.get_extra_info("peername")[1] != port
        transport.disconnect()
        await within(transport.wait_disconnected())

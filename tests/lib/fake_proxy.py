"""A proxy that does what a test says, in raw bytes, and the search for passwords in errors."""

from __future__ import annotations

import asyncio
import base64
import traceback
from collections.abc import Callable
from typing import Any

from harness import Net, RawPeer

SECRET = "s3cret"


class FakeProxy:
    """Does what a test says, and notes what it was sent and whether the client has let go of the connection."""

    def __init__(self, behave: Callable[[RawPeer], Any]) -> None:
        self._behave = behave
        self.port = 0
        self.seen: list[bytes] = []
        self.let_go = asyncio.Event()

    async def start(self, net: Net, tls: bool = False) -> FakeProxy:
        async def handler(peer: RawPeer) -> None:
            try:
                await self._behave(peer)
                await peer.rest()
            except (ConnectionError, asyncio.IncompleteReadError):
                pass
            finally:
                self.let_go.set()
                peer.close()

        if tls:
            secure = Net(tls=True, fast=net.fast)
            secure._servers, secure._peers = net._servers, net._peers  # so that net closes them
            net = secure
        self.port = await net.raw_server(handler)
        return self

    def url(self, scheme: str) -> str:
        return f"{scheme}://user:{SECRET}@127.0.0.1:{self.port}"


def assert_no_secret(exc: BaseException) -> None:
    """Nowhere in what a log would show, nor in what hangs on the error."""
    basic = base64.b64encode(f"user:{SECRET}".encode()).decode()
    chain: list[BaseException | None] = [exc]
    texts = ["".join(traceback.format_exception(exc))]
    while (one := chain.pop()) is not None:
        texts += [str(one), repr(one), repr(one.args)]
        chain += [one.__cause__ or one.__context__]
    # Nor in the variables of its frames, which some tools log: those of python-socks hold it.
    assert "python_socks" not in texts[0]
    for text in texts:
        assert SECRET not in text
        assert basic not in text

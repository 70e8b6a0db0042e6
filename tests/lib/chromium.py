"""A headless Chromium, driven over its DevTools protocol: JSON on a WebSocket, which is ws_core's own client."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from harness import within
from ws_core import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

START_S = 60.0  # on a loaded machine
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--remote-debugging-port=0"),
    "--window-size=820,760",
)


class DevTools(WSListener):
    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._parts: list[bytes] = []
        self.loaded = asyncio.Event()

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            transport.disconnect()
            return
        self._parts.append(frame.get_payload_as_bytes())
        if not frame.fin:
            return
        message = json.loads(b"".join(self._parts))
        self._parts.clear()
        if message.get("method") == "Page.loadEventFired":
            self.loaded.set()
        answer = self._answers.pop(message.get("id"), None)
        if answer is None:
            return
        if "error" in message:
            answer.set_exception(RuntimeError(message["error"]["message"]))
        else:
            answer.set_result(message["result"])

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        for answer in self._answers.values():
            answer.set_exception(ConnectionResetError("the browser has gone"))

    async def ask(self, method: str, session: str | None = None, **params: Any) -> Any:
        number = next(self._numbers)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        message = {"id": number, "method": method, "params": params}
        if session is not None:
            message["sessionId"] = session
        self._transport.send(WSMsgType.TEXT, json.dumps(message))
        return await within(answer, START_S)


class Page:
    def __init__(self, tools: DevTools, session: str) -> None:
        self._tools = tools
        self._session = session

    async def evaluate(self, expression: str) -> Any:
        """The value of an expression of JavaScript."""
        found = await self._tools.ask(
            "Runtime.evaluate", self._session, expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    async def until(self, expression: str) -> Any:
        """Wait for an expression to become true."""
        look = f"const look = () => ({expression}) ? go(true) : setTimeout(look, 20)"
        return await self.evaluate(f"new Promise(go => {{ {look}; look(); }})")

    async def screenshot(self, path: Path) -> bytes:
        found = await self._tools.ask("Page.captureScreenshot", self._session, format="png")
        data = base64.b64decode(found["data"])
        path.write_bytes(data)
        return data


@contextlib.asynccontextmanager
async def open_page(url: str) -> AsyncIterator[Page]:
    """A page in a browser of its own, which ends with it."""
    with tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as folder:
        process = await asyncio.create_subprocess_exec(
            *["chromium", *FLAGS, f"--user-data-dir={folder}", "about:blank"],
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            assert process.stderr is not None
            line = b""
            while not line.startswith(b"DevTools listening on "):
                line = await within(process.stderr.readline(), START_S)
                assert line, f"chromium has ended: {process.returncode}"
            draining = asyncio.create_task(process.stderr.read())
            transport, tools = await ws_connect(DevTools, line.split()[-1].decode(), max_frame_size=1 << 28)
            assert isinstance(tools, DevTools)
            target = await tools.ask("Target.createTarget", url="about:blank")
            attached = await tools.ask("Target.attachToTarget", targetId=target["targetId"], flatten=True)
            session = attached["sessionId"]
            await tools.ask("Page.enable", session)
            await tools.ask("Page.navigate", session, url=url)
            await within(tools.loaded.wait(), START_S)
            yield Page(tools, session)
            with contextlib.suppress(ConnectionResetError):
                await tools.ask("Browser.close")
            await within(draining, START_S)
            await transport.close()
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
            await process.wait()

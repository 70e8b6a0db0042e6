"""Headless browsers, driven by JSON on a WebSocket, which is ws_core's own client: Chromium (DevTools protocol) and
Firefox (WebDriver BiDi), each with one page.
"""

from __future__ import annotations

import abc
import asyncio
import base64
import contextlib
import itertools
import json
import os
import tempfile
from collections import defaultdict
from collections.abc import AsyncIterator
from typing import Any

from harness import within
from ws_core import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

START_S = 60.0  # on a loaded machine
WIDTH, HEIGHT = 820, 760


class Remote(WSListener):
    """A browser's side of the connection: numbered commands and their answers, and events."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._parts: list[bytes] = []
        self.events: dict[str, asyncio.Event] = defaultdict(asyncio.Event)

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
        if "method" in message:
            self.events[message["method"]].set()
        answer = self._answers.pop(message.get("id"), None)
        if answer is None:
            return
        if "error" in message:
            answer.set_exception(RuntimeError(f"the browser refuses: {message}"))
        else:
            answer.set_result(message["result"])

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        for answer in self._answers.values():
            answer.set_exception(ConnectionResetError("the browser has gone"))

    async def ask(self, method: str, params: dict[str, Any], **fields: str) -> Any:
        number = next(self._numbers)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        message = {"id": number, "method": method, "params": params, **fields}
        self._transport.send(WSMsgType.TEXT, json.dumps(message))
        return await within(answer, START_S)


class Page(abc.ABC):
    """One page of a browser of its own."""

    PROGRAM: str
    FLAGS: tuple[str, ...]
    #: What the browser says before its URL, and what has to be added to that.
    ANNOUNCES: str
    PATH = ""
    CLOSE: str

    def __init__(self, remote: Remote) -> None:
        self._remote = remote

    @abc.abstractmethod
    async def go(self, url: str) -> None:
        """Show `url`; returns when it is loaded."""

    @abc.abstractmethod
    async def evaluate(self, expression: str) -> Any:
        """The value of an expression of JavaScript, or what its promise becomes: text, a number, true, false, None."""

    @abc.abstractmethod
    async def screenshot(self) -> bytes:
        """A PNG."""

    async def until(self, expression: str) -> None:
        """Wait for an expression to become true."""
        look = f"const look = () => ({expression}) ? go(true) : setTimeout(look, 20)"
        await self.evaluate(f"new Promise(go => {{ {look}; look(); }})")


class Chromium(Page):
    PROGRAM = "chromium"
    FLAGS = (
        *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
        *("--disable-background-networking", "--disable-component-update", "--remote-debugging-port=0"),
        *(f"--window-size={WIDTH},{HEIGHT}", "--user-data-dir={}", "about:blank"),
    )
    ANNOUNCES = "DevTools listening on "
    CLOSE = "Browser.close"

    async def _ask(self, method: str, **params: Any) -> Any:
        return await self._remote.ask(method, params, sessionId=self._session)

    async def go(self, url: str) -> None:
        target = await self._remote.ask("Target.createTarget", {"url": "about:blank"})
        attached = await self._remote.ask("Target.attachToTarget", {"targetId": target["targetId"], "flatten": True})
        self._session = attached["sessionId"]
        await self._ask("Page.enable")
        await self._ask("Page.navigate", url=url)
        await within(self._remote.events["Page.loadEventFired"].wait(), START_S)

    async def evaluate(self, expression: str) -> Any:
        found = await self._ask("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    async def screenshot(self) -> bytes:
        return base64.b64decode((await self._ask("Page.captureScreenshot", format="png"))["data"])


class Firefox(Page):
    PROGRAM = "firefox-esr"
    FLAGS = ("--headless", "--no-remote", "--remote-debugging-port=0", "--profile", "{}", "about:blank")
    ANNOUNCES = "WebDriver BiDi listening on "
    PATH = "/session"
    CLOSE = "browser.close"

    async def go(self, url: str) -> None:
        await self._remote.ask("session.new", {"capabilities": {}})
        tree = await self._remote.ask("browsingContext.getTree", {})
        self._context = {"context": tree["contexts"][0]["context"]}
        size = {"width": WIDTH, "height": HEIGHT}
        await self._remote.ask("browsingContext.setViewport", {**self._context, "viewport": size})
        await self._remote.ask("browsingContext.navigate", {**self._context, "url": url, "wait": "complete"})

    async def evaluate(self, expression: str) -> Any:
        params = {"expression": expression, "target": self._context, "awaitPromise": True}
        found = await self._remote.ask("script.evaluate", params)
        assert found["type"] == "success", found["exceptionDetails"]
        return found["result"].get("value")

    async def screenshot(self) -> bytes:
        return base64.b64decode((await self._remote.ask("browsingContext.captureScreenshot", self._context))["data"])


BROWSERS: dict[str, type[Page]] = {"chromium": Chromium, "firefox": Firefox}


@contextlib.asynccontextmanager
async def open_page(browser: type[Page], url: str) -> AsyncIterator[Page]:
    """A page in a browser of its own, which ends with it."""
    with tempfile.TemporaryDirectory(prefix=f"{browser.PROGRAM}-", ignore_cleanup_errors=True) as folder:
        process = await asyncio.create_subprocess_exec(
            browser.PROGRAM,
            *(flag.format(folder) for flag in browser.FLAGS),
            env={name: value for name, value in os.environ.items() if name != "LD_PRELOAD"},  # of sanitizers
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            assert process.stderr is not None
            line = b""
            while not line.startswith(browser.ANNOUNCES.encode()):
                line = await within(process.stderr.readline(), START_S)
                assert line, f"{browser.PROGRAM} has ended: {process.returncode}"
            draining = asyncio.create_task(process.stderr.read())
            endpoint = line.split()[-1].decode() + browser.PATH
            transport, remote = await ws_connect(Remote, endpoint, max_frame_size=1 << 28)
            assert isinstance(remote, Remote)
            page = browser(remote)
            await page.go(url)
            yield page
            with contextlib.suppress(ConnectionResetError):
                await remote.ask(browser.CLOSE, {})
            await within(draining, START_S)
            await transport.close()
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
            await process.wait()

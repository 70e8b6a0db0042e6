"""The READMEs: what they show is run, and those of the packages read well on PyPI, which knows nothing of the tree."""

from __future__ import annotations

import ast
import asyncio
import re
import sys
from importlib.metadata import metadata
from pathlib import Path
from typing import Any

import pytest
from example import Example
from pages import ROOT, blocks, prose

import ws_core
from harness import within
from ws_core.testing import Recorder

PACKAGES = sorted((ROOT / "packages").iterdir())
SHOWN = ("README.md", "CHANGELOG.md")


class Echo(Recorder):
    def on_ws_frame(self, transport: ws_core.WSTransport, frame: ws_core.WSFrame) -> None:
        super().on_ws_frame(transport, frame)
        if frame.msg_type == ws_core.WSMsgType.TEXT:
            transport.send(ws_core.WSMsgType.TEXT, frame.get_payload_as_memoryview())


@pytest.mark.parametrize("page", ["README.md", "packages/ws-core/README.md"])
async def test_the_example_runs(page: str, tmp_path: Path) -> None:
    program = next(block for block in blocks(ROOT / page) if block.language == "python")
    async with await ws_core.ws_create_server(lambda request: Echo(), "127.0.0.1") as server:
        port = server.sockets[0].getsockname()[1]
        (tmp_path / "program.py").write_text(program.code.replace(":9001/", f":{port}/"))
        process = await asyncio.create_subprocess_exec(
            *[sys.executable, "-W", "error", str(tmp_path / "program.py")],
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert await Example(process).end() == ["hello"]


async def test_the_calls_of_autoping_run() -> None:
    namespace: dict[str, Any] = {"Listener": Recorder, **vars(ws_core)}
    exec("import ws_autoping", namespace)
    async with await ws_core.ws_create_server(lambda request: Echo(), "127.0.0.1") as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        for block in blocks(ROOT / "packages/ws-autoping/README.md"):
            code = block.code.replace("wss://example.org/feed", url)
            coroutine = eval(compile(code, "README.md", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), namespace)
            await within(coroutine) if coroutine is not None else None
        assert namespace["stats"].count == len(namespace["times"]) == 5
        namespace["transport"].disconnect()
        await within(namespace["transport"].wait_disconnected())


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_pypi_knows_nothing_of_the_tree(package: Path) -> None:
    for name in SHOWN:
        targets = re.findall(r"\]\(([^)\s]+)\)", prose(package / name))
        assert [target for target in targets if not target.startswith("https://")] == []


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_the_wheel_holds_what_pypi_shows(package: Path) -> None:
    about = metadata(f"wirelark-{package.name}").json
    assert about["description_content_type"] == "text/markdown"
    text = str(about["description"])
    for name in SHOWN:
        assert (package / name).read_text().strip() in text

"""The projects of docs/guides/write-an-extension.md: the page shows the files as they are, and they work."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from strangers import HERE, copied, install

ROOT = HERE.parent.parent
GUIDE = ROOT / "docs/guides/write-an-extension.md"
SOURCES = {".py", ".pyx", ".c", ".toml"}

# In a fresh Python: installed extensions are found by their entry points.
RUN = """
import asyncio
from ws_core import WSListener, WSMsgType, ws_connect, ws_create_server

class Server(WSListener):
    def on_ws_connected(self, transport):
        transport.send(WSMsgType.TEXT, "three little words")
        transport.send(WSMsgType.BINARY, b"not a text")
        transport.send(WSMsgType.TEXT, " and  two ")
        transport.send_close(1000)

class Client(WSListener):
    def on_ws_frame(self, transport, frame):
        if frame.msg_type == WSMsgType.CLOSE:
            transport.disconnect()

async def main():
    server = await ws_create_server(lambda request: Server(), "127.0.0.1", 0)
    url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    counts = []
    for option in ({OPTION: True}, {}):
        transport, _ = await ws_connect(Client, url, **option)
        await asyncio.wait_for(transport.wait_disconnected(), 20)
        counts.append(COUNT)
    server.close()
    print(counts)
"""


@pytest.mark.parametrize(
    ("project", "count"),
    [
        ("extension_python", 'transport.user_data.get("words")'),
        ("extension_c", "words(transport) if option else None"),
    ],
)
def test_the_extension_works_from_its_wheel(tmp_path: Path, project: str, count: str) -> None:
    install(copied(ROOT / "examples" / project, tmp_path), tmp_path / "site")
    option = {"extension_python": "count_words", "extension_c": "count_words_c"}[project]
    code = RUN.replace("OPTION", repr(option)).replace("COUNT", count)
    if project == "extension_c":
        code = "from ws_wordcount_c import words" + code
    result = subprocess.run(
        [sys.executable, "-c", f"{code}\nasyncio.run(main())"],
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.stdout == "[5, None]\n", result.stderr


def test_the_guide_shows_the_files_as_they_are() -> None:
    shown = re.findall(r"^`(examples/[^`]+|tests/[^`]+)`:\n\n```\w+\n(.*?)^```$", GUIDE.read_text(), re.M | re.S)
    assert len(shown) == len({name for name, _ in shown}) >= 7
    for name, text in shown:
        assert text == (ROOT / name).read_text(), f"{GUIDE.name} shows another {name}"


def test_every_project_of_the_guide_is_shown_whole() -> None:
    """What a reader copies from the page has to build: no file of a project that it begins to show is left out."""
    shown = {Path(name) for name in re.findall(r"^`((?:examples|tests)/[^`]+)`:\n\n```", GUIDE.read_text(), re.M)}
    for folder in {path.parent for path in shown}:
        there = {path.relative_to(ROOT) for path in (ROOT / folder).iterdir() if path.suffix in SOURCES}
        assert there <= shown

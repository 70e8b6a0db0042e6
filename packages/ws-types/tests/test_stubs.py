"""The stubs describe the compiled modules: the same classes, the same members, nothing more and nothing less."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import subprocess
import sys
from importlib.metadata import files
from pathlib import Path

import pytest

import ws_core

STUBS = {
    Path(str(file)).stem: Path(str(file.locate()))
    for file in files("wirelark-ws-types") or ()
    if str(file).endswith(".pyi")
}
# What Cython adds to every extension class, and what typing knows under another name.
UNDECLARED = {"__reduce_cython__", "__setstate_cython__", "__pyx_vtable__", "__buffer__", "__release_buffer__"}


def declared(module: str) -> dict[str, set[str]]:
    """Classes of a stub, and their members; functions, which have none."""
    tree = ast.parse(STUBS[module].read_text())
    classes = {}
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            members = set()
            for item in node.body:
                if isinstance(item, (ast.FunctionDef, ast.AsyncFunctionDef)):
                    members.add(item.name)
                elif isinstance(item, ast.AnnAssign):
                    assert isinstance(item.target, ast.Name)
                    members.add(item.target.id)
            classes[node.name] = members
        elif isinstance(node, ast.FunctionDef):
            classes[node.name] = set()
    return classes


def test_the_package_is_partial() -> None:
    assert STUBS, "the stubs are not installed"
    marker = next(iter(STUBS.values())).with_name("py.typed")
    assert marker.read_text() == "partial\n"


@pytest.mark.parametrize("module", STUBS)
def test_every_member_of_a_stub_exists(module: str) -> None:
    runtime = importlib.import_module(f"ws_core.{module}")
    for name, members in declared(module).items():
        missing = {member for member in members if not hasattr(getattr(runtime, name), member)}
        assert missing <= {"__buffer__"}, f"{name} of {module} has no {missing}"


@pytest.mark.parametrize("module", ["_frame", "_listener", "_sender", "_ending", "_transport"])
def test_every_public_member_has_a_stub(module: str) -> None:
    runtime = importlib.import_module(f"ws_core.{module}")
    for name, members in declared(module).items():
        public = {member for member in vars(getattr(runtime, name)) if not member.startswith("_")}
        assert public <= members, f"the stub of {name} lacks {public - members}"


def test_what_is_exported_and_compiled_has_a_stub() -> None:
    for name in ws_core.__all__:
        module = getattr(getattr(ws_core, name), "__module__", "ws_core.")
        spec = importlib.util.find_spec(module) if module.startswith("ws_core.") and module != "ws_core." else None
        if spec is not None and spec.origin is not None and not spec.origin.endswith(".py"):
            assert name in declared(module.removeprefix("ws_core.")), f"{name} has no stub"


CHECKED = """
from typing import assert_type
from ws_core import WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

class Listener(WSListener):
    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        assert_type(frame.msg_type, WSMsgType)
        assert_type(frame.get_payload_as_bytes(), bytes)
        assert_type(transport.subprotocol, str | None)
        transport.send(WSMsgType.TEXT, frame)
        transport.send_close(WSCloseCode.OK, "bye")

async def main() -> None:
    transport, listener = await ws_connect(Listener, "ws://127.0.0.1/")
    assert_type(transport, WSTransport)
    await transport.wait_disconnected()
"""

WRONG = {
    'transport.send("text", b"")': "arg-type",
    "transport.send(1, 3)": "arg-type",
    "transport.nonsense()": "attr-defined",
    "transport.is_secure = True": "misc",
}


def mypy(tmp_path: Path, source: str) -> str:
    (tmp_path / "checked.py").write_text(source)
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--python-version=3.12", "checked.py"]
    return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False).stdout


def test_mypy_accepts_what_is_right_and_refuses_what_is_wrong(tmp_path: Path) -> None:
    assert "Success" in mypy(tmp_path, CHECKED)
    lines = ["from ws_core import WSTransport", "def check(transport: WSTransport) -> None:"]
    lines += [f"    {line}" for line in WRONG]
    output = mypy(tmp_path, "\n".join(lines) + "\n")
    for number, code in enumerate(WRONG.values(), 3):
        assert any(f"checked.py:{number}:" in line and f"[{code}]" in line for line in output.splitlines()), output

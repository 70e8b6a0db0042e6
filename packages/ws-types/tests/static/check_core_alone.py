"""Core without wirelark-ws-types: type checkers name what to install, and say nothing else."""

from __future__ import annotations

import venv
from importlib.util import find_spec
from pathlib import Path

import pytest

from checkers import Complaint, basedpyright, mypy, pyrefly

PROGRAM = """\
from ws_core import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect


class Client(WSListener):
    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        transport.send(WSMsgType.TEXT, frame.get_payload_as_bytes())


async def main() -> None:
    transport, client = await ws_connect(Client, "ws://127.0.0.1/", max_frame_size=100)
    await transport.wait_disconnected()
    print(client)
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Of an environment that has core and what type checkers look for in its annotations, and nothing else."""
    folder = tmp_path_factory.mktemp("alone")
    venv.create(folder, with_pip=False)
    (packages,) = folder.glob("lib/python*/site-packages")
    for name in ("ws_core", "multidict"):
        spec = find_spec(name)
        assert spec is not None
        assert spec.origin is not None
        (packages / name).symlink_to(Path(spec.origin).parent)
    return str(folder / "bin" / "python")


@pytest.fixture
def program(tmp_path: Path) -> Path:
    file = tmp_path / "program.py"
    file.write_text(PROGRAM)
    return file


def says_what_to_install(complaints: list[Complaint]) -> None:
    (complaint,) = complaints
    assert complaint.line == 1 + PROGRAM.splitlines().index("class Client(WSListener):")
    assert "pip_install_wirelark_ws_types" in complaint.message


@pytest.mark.parametrize("options", [(), ("--strict",)])
def test_mypy(program: Path, python: str, options: tuple[str, ...], tmp_path: Path) -> None:
    says_what_to_install(mypy([program], tmp_path, python, options))


@pytest.mark.parametrize("mode", ["basic", "standard"])
def test_basedpyright(program: Path, python: str, mode: str, tmp_path: Path) -> None:
    says_what_to_install(basedpyright([program], tmp_path, mode, python))


def test_pyrefly(program: Path, python: str) -> None:
    says_what_to_install([each for each in pyrefly([program], python) if each.rule != "missing-override-decorator"])

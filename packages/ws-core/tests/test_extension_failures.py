"""Extensions that fail, or return what they must not: an error that names them, and core goes on."""

from __future__ import annotations

import logging
import socket
from importlib.metadata import EntryPoint
from typing import Any

import pytest

from harness import Net
from harness import make_extension as make
from ws_core import (
    Extension,
    TransportHook,
    WSInvalidStatusError,
    WSTransport,
    extension,
    register_extension,
    registered_extensions,
)

pytestmark = pytest.mark.usefixtures("no_extensions")


class Attaching(Extension):
    """Owns `spy`: a hook to attach."""

    name = "attaching"
    options = {"spy": None}

    def attach(self, transport: WSTransport, options: dict[str, Any]) -> TransportHook | None:
        hook: TransportHook | None = options["spy"]
        return hook


class Point(EntryPoint):
    """An entry point that gives, or raises, what `results` has for it next."""

    results: dict[str, list[Any]]

    def load(self) -> Any:
        result = self.results[self.name].pop(0)
        if isinstance(result, BaseException):
            raise result
        return result


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function that takes names with what their entry points give, one after the other."""

    def install(**results: Any) -> None:
        Point.results = {name: list(each) for name, each in results.items()}
        points = [Point(name, "nowhere:x", extension.ENTRY_POINT_GROUP) for name in results]
        monkeypatch.setattr("importlib.metadata.entry_points", lambda group: points)
        monkeypatch.setattr(extension, "_entry_points_loaded", False)

    return install


class Unconstructible(Extension):
    def __init__(self) -> None:
        raise RuntimeError("no")


@pytest.mark.parametrize("failure", [SystemExit(3), GeneratorExit(), Unconstructible, Extension, 5])
def test_an_entry_point_that_fails_in_any_way(installed: Any, caplog: pytest.LogCaptureFixture, failure: Any) -> None:
    good = make("good", x=1)
    installed(broken=[failure], fine=[good])
    assert registered_extensions() == (good,)
    (record,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert "'broken'" in record.getMessage()


def test_an_interrupt_while_entry_points_are_loaded_loses_none(installed: Any) -> None:
    first, second, third = make("first"), make("second"), make("third")
    installed(first=[first], second=[KeyboardInterrupt(), second], third=[third])
    with pytest.raises(KeyboardInterrupt):
        registered_extensions()
    assert registered_extensions() == (first, second, third)


def test_entry_points_that_cannot_be_listed(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def broken(group: str) -> Any:
        raise OSError("unreadable metadata")

    monkeypatch.setattr("importlib.metadata.entry_points", broken)
    monkeypatch.setattr(extension, "_entry_points_loaded", False)
    assert registered_extensions() == ()
    assert registered_extensions() == ()
    assert len(caplog.records) == 1


@pytest.mark.parametrize("attribute", ["options", "services"])
def test_options_that_are_no_mapping(attribute: str) -> None:
    """Else every connection of the process would fail, with an error that names nobody."""
    wrong = make("listed")
    setattr(wrong, attribute, ("a", "b"))
    with pytest.raises(TypeError, match=f"{attribute} of the extension 'listed' must be a mapping"):
        register_extension(wrong)


class WrongOpcodes(TransportHook):
    opcodes = (99,)

    def on_send(self, transport: WSTransport, message: Any) -> Any:
        return message


@pytest.mark.parametrize(("hook", "error"), [(5, TypeError), (TransportHook, TypeError), (WrongOpcodes(), ValueError)])
async def test_what_attach_must_not_return(net: Net, hook: Any, error: Any) -> None:
    """As a listener factory that fails: nothing has opened yet on either side."""
    register_extension(Attaching())
    with pytest.raises(error, match=r"attach\(\) of <Attaching 'attaching'>"):
        await net.connect(await net.serve(), spy=hook)
    server = await net.serve(spy=hook)
    with pytest.raises(WSInvalidStatusError, match="500"):
        await net.connect(server)
    assert not server.connections


class Opening(Extension):
    name = "opening"
    options = {"stream": None, "claims": ()}

    async def open_connection(self, endpoint: Any, options: dict[str, Any]) -> Any:
        return options["stream"]

    def accept(self, request: Any, response: Any, options: dict[str, Any]) -> Any:
        return options["claims"]


async def test_what_open_connection_must_not_return(plain_net: Net) -> None:
    register_extension(Opening())
    server = await plain_net.serve()
    for wrong in (5, (None, None)):
        with pytest.raises(TypeError, match=r"open_connection\(\) of <Opening 'opening'> must return"):
            await plain_net.connect(server, stream=wrong)
    with socket.socket() as unconnected:
        with pytest.raises(OSError, match="<Opening 'opening'> returned is not connected"):
            await plain_net.connect(server, stream=unconnected)
        assert unconnected.fileno() == -1


@pytest.mark.parametrize(("claims", "error"), [(None, TypeError), (1, TypeError), ((1.0,), ValueError)])
async def test_what_accept_must_not_return(one_net: Net, claims: Any, error: Any) -> None:
    register_extension(Opening())
    with pytest.raises(error, match="<Opening 'opening'>"):
        await one_net.connect(await one_net.serve(), claims=claims)
    server = await one_net.serve(claims=claims)
    with pytest.raises(WSInvalidStatusError, match="500"):
        await one_net.connect(server)

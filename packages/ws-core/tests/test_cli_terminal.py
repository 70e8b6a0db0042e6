"""``python -m ws_core`` in a terminal."""

from __future__ import annotations

import importlib.util
import signal
from pathlib import Path

import pytest

from commands import Sends, Silent, at_a_terminal
from harness import Echo, Net, until, within
from ws_core import WSCloseCode, WSMsgType
from ws_core._cli.screen import harmless

WITHOUT, IDS = [(), ("rich", "prompt_toolkit")], ["cli extra", "nothing else"]


@pytest.mark.parametrize("without", WITHOUT, ids=IDS)
async def test_a_person_talks(one_net: Net, without: tuple[str, ...]) -> None:
    assert importlib.util.find_spec("rich")
    assert importlib.util.find_spec("prompt_toolkit")
    server = await one_net.serve(lambda request: Echo())
    async with at_a_terminal(one_net.url(server), without=without) as person:
        await person.sees("connected to ws://")
        for typed, answer in (
            ("hello", "< hello"),
            ('{"a":[1]}', '"a": ['),
            ("//slash", "< /slash"),
            ("/binary 01 ff", "< 2 bytes: 01 ff"),
            ("/binary xyz", "/binary: non-hexadecimal"),
            ("/close 99999999999999999999", "/close: "),
            ("/ping there", "round trip "),
            ("/stats", "sent 5 frames"),
            ("/help", "Ctrl-D ends"),
            ("/close 1000 bye", "closed: 1000 bye"),
        ):
            person.types(typed + "\r")
            await person.sees(answer)
    assert person.process.returncode == 0


@pytest.mark.parametrize("key", ["\x03", "\x04"], ids=["Ctrl-C", "Ctrl-D"])
async def test_a_person_leaves(one_net: Net, key: str) -> None:
    server = await one_net.serve(lambda request: Echo())
    async with at_a_terminal(one_net.url(server)) as person:
        await person.sees(">")
        person.types(key)
        await person.sees("closed: 1000")
    assert person.process.returncode == 0


async def test_a_server_cannot_reach_the_terminal(one_net: Net) -> None:
    class Talks(Sends):
        what = (
            (WSMsgType.TEXT, "\x1b]0;title\x07 \x9b31m"),
            (WSMsgType.TEXT, '{"a": "\x1b[31m"}'.replace("\x1b", "\\u001b")),
        )
        close = (WSCloseCode.OK, "\x1b[2J")

    server = await one_net.serve(lambda request: Talks())
    async with at_a_terminal(one_net.url(server)) as person:
        await person.sees("< \\x1b]0;title\\x07 \\x9b31m")
        await person.sees("\\u001b[31m")
        await person.sees("closed: 1000 \\x1b[2J")
    assert harmless("a\tb\nc\x7f") == "a\tb\nc\\x7f"
    assert harmless("\u202e\ud800ü\U0001f600") == "\\u202e\\ud800ü\U0001f600"


@pytest.mark.parametrize("redirect", ["<input", "<input 2>errors", "<input >output"])
async def test_nor_by_the_half_of_a_pipe(one_net: Net, tmp_path: Path, redirect: str) -> None:
    """Where only one of input, output and errors is a terminal."""

    class Talks(Sends):
        what = ((WSMsgType.TEXT, "\x1b]0;title\x07 \x9b31m"),)
        close = (WSCloseCode.OK, "\x1b[2J")

    server = await one_net.serve(lambda request: Talks())
    (tmp_path / "input").touch()
    shell = ("/bin/sh", "-c", f'cd {tmp_path} && exec "$@" {redirect}', "sh")
    async with at_a_terminal(one_net.url(server), before=shell) as person:
        if ">output" not in redirect:
            await person.sees("\\x1b]0;title\\x07 \\x9b31m")
        if "2>errors" not in redirect:
            await person.sees("closed: 1000 \\x1b[2J")
        await within(person.process.wait())
    assert "\x1b" not in person.everything
    if ">output" in redirect:
        assert (tmp_path / "output").read_text() == "\x1b]0;title\x07 \x9b31m\n"  # a file gets it as it is


@pytest.mark.parametrize("without", WITHOUT, ids=IDS)
async def test_a_message_cannot_look_like_another_one(one_net: Net, without: tuple[str, ...]) -> None:
    class Talks(Sends):
        what = ((WSMsgType.TEXT, "one\n* closed: 1000"), (WSMsgType.TEXT, '{"ü": 1.10}'))
        close = (WSCloseCode.OK, "bye\n< hello")

    server = await one_net.serve(lambda request: Talks())
    async with at_a_terminal(one_net.url(server), without=without) as person:
        await person.sees("* connected to ")  # before all that comes
        await person.sees("< one")
        await person.sees("  * closed: 1000")
        await person.sees("< {")
        await person.sees('    "ü": 1.10')
        await person.sees("  }")
        await person.sees("* closed: 1000 bye")
        await person.sees("  < hello")


@pytest.mark.parametrize("without", WITHOUT, ids=IDS)
async def test_a_terminal_that_has_no_unicode(one_net: Net, without: tuple[str, ...]) -> None:
    server = await one_net.serve(lambda request: Echo())
    latin = {"LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    async with at_a_terminal(one_net.url(server), without=without, env=latin) as person:
        await person.sees("connected to ws://")
        person.types("a日\r")
        await person.sees("< a")
        person.types("/stats\r")
        await person.sees("sent 1 frames, ")
        person.types("/close\r")
        await person.sees("closed: 1000")
    assert person.process.returncode == 0


@pytest.mark.parametrize("without", WITHOUT, ids=IDS)
async def test_a_person_does_not_wait_for_a_server_that_does_not_close(one_net: Net, without: tuple[str, ...]) -> None:
    """A second Ctrl-C ends it at once. (The terminal is not that of the process' session: it makes no signals.)"""
    servers: list[Silent] = []
    server = await one_net.serve(lambda request: servers.append(Silent()) or servers[-1])
    async with at_a_terminal(one_net.url(server), without=without) as person:
        await person.sees("connected to ws://")
        if without:
            person.process.send_signal(signal.SIGINT)
        else:
            await person.sees(">")
            person.types("\x03")
        await until(lambda: servers[0].closed)
        person.process.send_signal(signal.SIGINT)
        await within(person.process.wait(), 4)  # it would wait for 5 seconds
    assert person.process.returncode == 130

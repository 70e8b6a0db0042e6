"""``python -m ws_core URL``: a WebSocket in the terminal, or in a pipe."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import sys
from collections.abc import Sequence
from typing import Any

from ws_core import WSCloseCode, WSMsgType, WSTransport, ws_connect
from ws_core._cli.arguments import add_connection, connect_arguments, hide_password, not_negative, positive, run
from ws_core._cli.lines import lines, pieces
from ws_core._cli.screen import Pipe, Terminal, is_terminal
from ws_core._cli.session import Session, ended

DESCRIPTION = """
Connect to a WebSocket server and talk to it. In a terminal, each line that you type is sent as a text, and what comes
is shown, JSON in a readable form; /help lists the commands. In a pipe, each line of standard input is a text message,
and each text that comes is a line of standard output:

    jq -c .orders[] orders.json | python -m ws_core wss://example.com/feed > answers
""".strip()
EPILOG = "exit codes: 0 closed properly, 1 no connection, 2 wrong usage, 3 it broke, 130 Ctrl-C, 143 SIGTERM"
HELP = """/ping [TEXT]          send a PING, and show the round trip when its PONG comes
/binary HEX           send a binary message, e.g. /binary 01 02 ff
/close [CODE [WHY]]   close the connection
/stats                what was sent and received
//...                 send a text that begins with a slash
Ctrl-D ends"""
CLOSE_TIMEOUT_S = 5.0


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        "python -m ws_core",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_connection(made)
    group = made.add_argument_group("messages")
    group.add_argument("--binary", action="store_true", help="pipes: what is read is sent, and what comes written, raw")
    group.add_argument("--json", action="store_true", help="pipes: objects and arrays of JSON on several lines")
    group.add_argument("--raw", action="store_true", help="terminals: JSON as it comes")
    group.add_argument("--ping", type=positive, metavar="SECONDS", help="measure the round trip so often, and show it")
    text = "pipes: send CLOSE so long after the end of the input (0); many servers send no more answers after it"
    group.add_argument("--linger", type=not_negative, default=0.0, metavar="SECONDS", help=text)
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    args = parser().parse_args(arguments)
    return run(lambda: talk(args), args, "ws_core")


async def talk(args: argparse.Namespace) -> int:
    person = is_terminal(sys.stdin) and is_terminal(sys.stdout) and not args.binary
    screen = Terminal(pretty=not args.raw) if person else Pipe(binary=args.binary, pretty=args.json)
    session = Session(screen, hide_password(args.url), args.max_size)
    asking = _prompt_session() if person else None
    transport, _ = await ws_connect(lambda: session, args.url, **connect_arguments(args))
    pinging = None if args.ping is None else asyncio.create_task(_ping(session, transport, args.ping))
    try:
        sending = asyncio.create_task(
            _obey_all(session, transport, screen, asking) if person else _feed(transport, args.binary, args.linger)
        )
        gone = asyncio.create_task(transport.wait_disconnected())
        await asyncio.wait({sending, gone}, return_when=asyncio.FIRST_COMPLETED)
        if sending.done():
            with contextlib.suppress(ConnectionResetError):  # ended() says why
                sending.result()
        sending.cancel()
        gone.cancel()
        await asyncio.wait({sending, gone})  # the prompt gives the terminal back
    finally:
        if pinging is not None:
            pinging.cancel()
        await transport.close(timeout=CLOSE_TIMEOUT_S)
    return ended(transport, screen)


async def _ping(session: Session, transport: WSTransport, every_s: float) -> None:
    for number in itertools.count():
        session.ping(transport, b"%d" % number)
        await asyncio.sleep(every_s)


async def _feed(transport: WSTransport, binary: bool, linger_s: float) -> None:
    """Standard input to messages: its lines, or whatever comes at a time."""
    async for data in pieces() if binary else lines():
        transport.send(WSMsgType.BINARY, data) if binary else transport.send(WSMsgType.TEXT, _text(data))
        await transport.drain()
    await asyncio.sleep(linger_s)


def _text(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError as exc:
        raise ValueError(f"the input is not UTF-8 ({exc}): --binary sends it as it is") from exc


def _prompt_session() -> Any:
    """Made before the connection: the import takes longer than a round trip. None: it is not installed."""
    try:
        from prompt_toolkit import PromptSession
    except ImportError:
        return None
    return PromptSession("> ")


async def _obey_all(session: Session, transport: WSTransport, screen: Any, asking: Any) -> None:
    """What a person types, until Ctrl-D."""
    if asking is None:
        async for line in lines():
            obey(session, transport, screen, line.decode(errors="replace"))
        return
    from prompt_toolkit.patch_stdout import patch_stdout

    with patch_stdout(raw=True):
        while True:
            try:
                # Without a handler of its own for Ctrl-C: it would take ours away when it ends.
                obey(session, transport, screen, await asking.prompt_async(handle_sigint=False))
            except (EOFError, KeyboardInterrupt):
                return


def obey(session: Session, transport: WSTransport, screen: Any, line: str) -> None:
    """Send a line, or do what it says."""
    # Bytes that the terminal's encoding does not know come as halves of surrogate pairs (PEP 383): read them as UTF-8.
    line = line.encode(errors="surrogateescape").decode(errors="replace")
    if not line.startswith("/") or line.startswith("//"):
        if line:
            transport.send(WSMsgType.TEXT, line.removeprefix("/") if line.startswith("//") else line)
        return
    command, _, rest = line.partition(" ")
    try:
        if command == "/ping":
            session.ping(transport, rest.encode())
        elif command == "/binary":
            transport.send(WSMsgType.BINARY, bytes.fromhex(rest))
        elif command == "/close":
            code, _, why = rest.partition(" ")
            transport.send_close(int(code) if code else WSCloseCode.OK, why or None)
        elif command == "/stats":
            stats = transport.stats
            sent, received = (stats.frames_out, stats.bytes_out), (stats.frames_in, stats.bytes_in)
            screen.note("sent {} frames, {} bytes; received {} frames, {} bytes".format(*sent, *received))
        else:
            for text in HELP.splitlines():
                screen.note(text)
    except (ValueError, OverflowError) as exc:
        screen.note(f"{command}: {exc}")

"""What both commands take: where to connect, and how; and what they make of an error."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import re
import signal
import ssl
import sys
from collections.abc import Callable, Coroutine
from typing import Any

from ws_core import __version__
from ws_core._cli.screen import harmless
from ws_core.errors import WSError

#: Exit codes. What a signal ends is 128 and its number, as shells have it: 130 for Ctrl-C.
OK, NOT_CONNECTED, USAGE, BROKEN = 0, 1, 2, 3


def add_connection(parser: argparse.ArgumentParser, *, timeout: str = "to connect within (5)") -> None:
    parser.add_argument("url", help="ws:// or wss://")
    parser.add_argument("--version", action="version", version=f"wirelark-ws-core {__version__}")
    group = parser.add_argument_group("the connection")
    group.add_argument(
        "-H", "--header", action="append", default=[], type=_header, metavar="NAME:VALUE", help="send it, too"
    )
    group.add_argument("--subprotocol", action="append", default=[], metavar="NAME", help="offer it")
    group.add_argument("--proxy", metavar="URL", help="http, https, socks4 or socks5 (needs wirelark-ws-proxy)")
    group.add_argument("--ca", metavar="FILE", help="trust these certificates (PEM), and no others")
    group.add_argument("--insecure", action="store_true", help="do not check the server's certificate")
    group.add_argument("--timeout", type=positive, default=5.0, metavar="SECONDS", help=timeout)
    text = "largest message to receive (64 MiB)"
    group.add_argument("--max-size", type=count, default=64 << 20, metavar="BYTES", help=text)
    group.add_argument("--uvloop", action="store_true", help="run on uvloop")


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME:VALUE")
    return name.strip(), value.strip()


def positive(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError("must be more than 0")
    return seconds


def not_negative(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds < float("inf"):
        raise argparse.ArgumentTypeError("must be 0 or more")
    return seconds


def size(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError("must be 0 or more")
    return number


def count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def connect_arguments(args: argparse.Namespace) -> dict[str, Any]:
    """What :func:`ws_core.ws_connect` gets beside its listener and the URL."""
    kwargs: dict[str, Any] = {
        "extra_headers": args.header,
        "subprotocols": args.subprotocol,
        "websocket_handshake_timeout": args.timeout,
        "max_frame_size": args.max_size,
    }
    if args.proxy is not None:
        kwargs["proxy"] = args.proxy
    if args.ca is not None or args.insecure:
        kwargs["ssl_context"] = context = ssl.create_default_context(cafile=args.ca)
        if args.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
    return kwargs


def hide_password(url: str) -> str:
    """The URL as it may stand on a screen that somebody else sees."""
    return re.sub(r"(?<=//)([^/?#:]*):[^/?#]*@", r"\1:***@", url, count=1)


def run(main: Callable[[], Coroutine[Any, Any, int]], args: argparse.Namespace, name: str) -> int:
    """Run a command to its exit code; what goes wrong is a line on stderr and no traceback."""
    logging.getLogger("ws_core").addHandler(logging.NullHandler())  # the command says itself what has happened
    caught = [signal.SIGINT]
    try:
        if args.uvloop:
            import uvloop

            uvloop.install()
        return asyncio.run(_interruptible(main, caught))
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 128 + caught[-1]
    except BrokenPipeError:
        # Whoever read us has gone; the interpreter would find that out once more, at its end, and say so.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN
    except asyncio.TimeoutError as exc:
        return _complain(name, NOT_CONNECTED, str(exc) or f"no connection within {args.timeout:g} seconds")
    except (WSError, OSError) as exc:
        return _complain(name, NOT_CONNECTED, _sentence(exc))
    except MemoryError:
        return _complain(name, USAGE, "there is not so much memory")
    except (ValueError, TypeError, ImportError) as exc:
        return _complain(name, USAGE, str(exc))


async def _interruptible(main: Callable[[], Coroutine[Any, Any, int]], caught: list[signal.Signals]) -> int:
    """Signals end `main` where it waits, and it closes its connection.

    Until Python 3.11 Ctrl-C would come out of whatever runs, callbacks included.
    """
    task = asyncio.current_task()
    assert task is not None

    def stop(number: signal.Signals) -> None:
        caught.append(number)
        task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            with contextlib.suppress(NotImplementedError):  # Windows
                asyncio.get_running_loop().add_signal_handler(number, stop, number)
    return await main()


def _sentence(exc: Exception) -> str:
    """asyncio's own errors say which call failed, and not why."""
    text = str(exc) or type(exc).__name__
    why = os.strerror(exc.errno) if isinstance(exc, ConnectionError) and exc.errno else ""
    return text if why in text else f"{text}: {why}"


def _complain(name: str, code: int, text: str) -> int:
    print(f"{name}: {harmless(text)}", file=sys.stderr)
    return code

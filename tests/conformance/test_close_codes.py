"""All 65,536 status codes of a CLOSE, received and sent (RFC 6455 section 7.4)."""

from __future__ import annotations

import pytest

import cases
from loops import STRESS
from play import QUIET, SIDES, Played
from vectors import CLOSE
from ws_core import WSCloseCode
from ws_core.testing import Recorder, connected_pair, frame_bytes

ALL = range(2**16)
#: Where each code wants a connection of its own: every 251st, or all of them with WIRELARK_STRESS=2.
SOME = ALL if STRESS > 1 else range(0, 2**16, 251)
GOOD = [code for code in ALL if cases.is_close_code(code)]


def test_how_many_there_are() -> None:
    """1000 to 1003, 1007 to 1014, and the two thousand of libraries and of applications."""
    assert len(GOOD) == 4 + 8 + 2000


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("block", range(16))
async def test_received(side: str, block: int) -> None:
    found: list[str] = []
    for code in SOME[block::16]:
        played = Played(cases.close_of(code), side, strict=True)
        await played.in_pieces("whole", None)
        found += played.complaints
    assert not found, "\n".join(found)


@pytest.mark.parametrize("side", SIDES)
async def test_received_where_nothing_is_checked(side: str) -> None:
    """strict=False: each arrives as it is, a WSCloseCode where it has a name."""
    options = {f"{side}_options": {"strict": False, "logger_name": QUIET}}
    silent = lambda: Recorder(answer_close=False)  # noqa: E731
    async with connected_pair(silent, silent, **options) as pair:  # type: ignore[arg-type]
        into = pair.wire.to_server if side == "server" else pair.wire.to_client
        listener = pair.server_listener if side == "server" else pair.client_listener
        into.inject(b"".join(frame_bytes(CLOSE, code.to_bytes(2, "big"), masked=side == "server") for code in ALL))
        await pair.deliver()
        codes = [frame.get_close_code() for frame in listener.frames]
    assert codes == [*ALL]
    named = {int(code) for code in WSCloseCode}
    assert [code for code in codes if isinstance(code, WSCloseCode) is not (int(code) in named)] == []


async def test_sent() -> None:
    """What must not be received is not sent either; 0 is NO_INFO, a CLOSE without a code."""
    async with connected_pair() as pair:
        refused = []
        for code in (-1, *ALL, 2**16, 2**16 + 1000):
            if code != 0 and not cases.is_close_code(code):
                try:
                    pair.client.send_close(code)
                except ValueError as exc:
                    refused.append((code, str(code) in str(exc)))
        assert not pair.client.is_close_frame_sent
    assert refused == [(code, True) for code in (-1, *ALL[1:], 2**16, 2**16 + 1000) if not cases.is_close_code(code)]
    for code in [0, *(code for code in GOOD if code < 3000 or code in SOME or code in (3000, 4999))]:
        async with connected_pair() as pair:
            pair.client.send_close(code)
            assert (await pair.server_listener.next_frame()).get_close_code() == code

from collections.abc import Iterable
from typing import TypeVar

from typing_extensions import Buffer

from ws_core._transport import WSTransport

_M = TypeVar("_M", bound=str | Buffer | None)

def broadcast(
    transports: Iterable[WSTransport],
    msg_type: int,
    # A list of one kind, such as list[bytes], and a list of different kinds.
    message: str | Buffer | None | list[str | Buffer | None] | list[_M] | tuple[str | Buffer | None, ...],
) -> int: ...

from collections.abc import Iterable
from typing import TypeVar, overload

from typing_extensions import Buffer

from ws_core._transport import WSTransport

_M = TypeVar("_M", bound=str | Buffer | None)

# A list[bytes] that has a name is no list[str | Buffer | None].
@overload
def broadcast(transports: Iterable[WSTransport], msg_type: int, message: list[_M]) -> int: ...
@overload
def broadcast(
    transports: Iterable[WSTransport],
    msg_type: int,
    message: str | Buffer | None | list[str | Buffer | None] | tuple[str | Buffer | None, ...],
) -> int: ...

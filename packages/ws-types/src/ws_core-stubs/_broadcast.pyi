from collections.abc import Iterable
from typing import TypeVar

from typing_extensions import Buffer

from ws_core._transport import WSTransport

_M = TypeVar("_M", bound=str | Buffer | None)

def broadcast(
    transports: Iterable[WSTransport], msg_type: int, message: str | Buffer | None | list[_M] | tuple[_M, ...]
) -> int: ...

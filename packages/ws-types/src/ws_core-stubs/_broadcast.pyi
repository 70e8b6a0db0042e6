from collections.abc import Iterable

from typing_extensions import Buffer

from ws_core._transport import WSTransport

def broadcast(
    transports: Iterable[WSTransport],
    msg_type: int,
    message: str | Buffer | None | list[str | Buffer | None] | tuple[str | Buffer | None, ...],
) -> int: ...

"""Plain HTTP on the port of a WebSocket server: a health check, a 404, and an upgrade that is refused.

python health_check.py
curl -i http://127.0.0.1:9001/health      # 200, with the number of connections
python echo_client.py hello               # the WebSocket is at /, and at /members for who says who he is

The listener factory sees each request before anything else does, and its answer is the server's: a listener opens a
WebSocket, a WSUpgradeResponseWithListener is sent as it is, None is a 404. It may be a coroutine function, for a look
into a database.
"""

from __future__ import annotations

import argparse
import asyncio

from echo_server import Echo

from ws_core import (
    WSListener,
    WSServer,
    WSUpgradeRequest,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
    ws_create_server,
)


class Site:
    server: WSServer

    def answer(self, request: WSUpgradeRequest) -> WSListener | WSUpgradeResponseWithListener | None:
        path = request.path.partition(b"?")[0]
        if path == b"/health":
            body = f"ok, {len(self.server.connections)} connections\n".encode()
            return WSUpgradeResponseWithListener(WSUpgradeResponse.create_ok_response(body), None)
        if path == b"/members" and "Authorization" not in request.headers:
            refusal = WSUpgradeResponse.create_error_response(401, b"who are you?\n", {"WWW-Authenticate": "Basic"})
            return WSUpgradeResponseWithListener(refusal, None)
        if path in (b"/", b"/members"):
            return Echo()
        return None


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9001, help="0: a free one")
    args = parser.parse_args()

    site = Site()
    site.server = await ws_create_server(site.answer, args.host, args.port)
    print(f"listening on port {site.server.sockets[0].getsockname()[1]}", flush=True)
    async with site.server:
        await site.server.serve_forever()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        pass

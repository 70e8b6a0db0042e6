"""A server whose listener is written in Cython.

pip install --no-build-isolation .        # in this folder; needs a C compiler, Cython, setuptools and wirelark-ws-core
python serve.py
python ../echo_client.py hello
"""

from __future__ import annotations

import argparse
import asyncio

from fast_echo import FastEcho

from ws_core import ws_create_server


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9001, help="0: a free one")
    args = parser.parse_args()
    server = await ws_create_server(lambda request: FastEcho(), args.host, args.port)
    print(f"listening on port {server.sockets[0].getsockname()[1]}", flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        pass

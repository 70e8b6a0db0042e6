"""A client behind a proxy (pip install wirelark-ws-proxy).

python proxy.py --proxy http://127.0.0.1:3128
python proxy.py --proxy socks5://user:secret@127.0.0.1:1080 --tls --host example.org --port 443
python proxy.py --proxy system

http://, https://, socks4://, socks4a://, socks5:// and socks5h:// are known; "system" is what HTTPS_PROXY and its like
say. Names are looked up by the proxy, except with socks4://. TLS, with --tls, is between here and the server: the proxy
sees none of it.
"""

from __future__ import annotations

import argparse
import asyncio
import sys

from echo_client import Client

from ws_core import ws_connect
from ws_proxy import WSProxyError


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--proxy", required=True, help='URL, or "system"')
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9001)
    parser.add_argument("--tls", action="store_true", help="wss:// instead of ws://")
    args = parser.parse_args()

    url = f"{'wss' if args.tls else 'ws'}://{args.host}:{args.port}/"
    try:
        transport, _ = await ws_connect(lambda: Client(["hello", "proxy"]), url, proxy=args.proxy)
    except (WSProxyError, OSError) as exc:  # it refuses; it is not there, or says nothing in time
        print(f"no way through the proxy: {exc}")
        return 1
    print(f"connected to {url}")
    await transport.wait_disconnected()
    return 0


if __name__ == "__main__":
    try:
        sys.exit(asyncio.run(main()))
    except KeyboardInterrupt:
        pass

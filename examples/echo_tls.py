"""TLS at both ends: what the server's context needs, and what the client's.

python echo_tls.py

The certificate is a throw-away one that trustme makes (pip install trustme). A real server loads its own:
echo_server.py --cert chain.pem --key key.pem does. Without ssl_context= a client trusts the authorities of the system;
at this server it would get an ssl.SSLCertVerificationError, the ssl module's own: errors of the system are not wrapped.
"""

from __future__ import annotations

import asyncio
import ssl

import trustme
from echo_client import Client
from echo_server import Echo

from ws_core import ws_connect, ws_create_server


async def main() -> None:
    authority = trustme.CA()
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server_context)
    client_context = ssl.create_default_context()  # checks the chain and the name
    authority.configure_trust(client_context)

    server = await ws_create_server(lambda request: Echo(), "127.0.0.1", ssl=server_context)
    port = server.sockets[0].getsockname()[1]
    async with server:
        url = f"wss://127.0.0.1:{port}/"
        transport, _ = await ws_connect(lambda: Client(["hello", "TLS"]), url, ssl_context=client_context)
        print(f"connected by {transport.underlying_transport.get_extra_info('ssl_object').version()}")
        await transport.wait_disconnected()


if __name__ == "__main__":
    asyncio.run(main())

"""TLS of the measured processes: all of them speak it if BENCH_CERT names a certificate (harness/certificates.py)."""

from __future__ import annotations

import functools
import os
import ssl

ENABLED = "BENCH_CERT" in os.environ


def address(port: int, path: str) -> str:
    return f"{'wss' if ENABLED else 'ws'}://127.0.0.1:{port}/{path}"


def client_context() -> ssl.SSLContext | None:
    return trusting() if ENABLED else None


@functools.cache
def trusting() -> ssl.SSLContext:
    """For clients of whoever has a certificate of this run's authority."""
    return ssl.create_default_context(cafile=os.environ["BENCH_CA"])


@functools.cache
def server_context() -> ssl.SSLContext | None:
    if not ENABLED:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(os.environ["BENCH_CERT"], os.environ["BENCH_KEY"])
    return context

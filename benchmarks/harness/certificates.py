"""Certificates for one run, made by trustme: a server's for 127.0.0.1, and the authority that clients trust."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def certificates() -> Iterator[dict[str, str]]:
    """The environment in which measured processes and the C programs speak TLS: names of files."""
    import trustme

    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    with tempfile.TemporaryDirectory(prefix="bench-tls-") as folder:
        files = {
            "BENCH_CA": (authority.cert_pem,),
            "BENCH_CERT": issued.cert_chain_pems,
            "BENCH_KEY": (issued.private_key_pem,),
        }
        env = {}
        for name, blobs in files.items():
            path = Path(folder, f"{name}.pem")
            path.write_bytes(b"".join(blob.bytes() for blob in blobs))
            env[name] = str(path)
        yield env

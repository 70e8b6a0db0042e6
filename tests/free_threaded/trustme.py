"""The part of trustme that our tests use, made by the openssl command.

Only for a free-threaded CPython 3.13: trustme stands on cffi, and cffi refuses that one (it takes 3.14t). `nox -s
free_threaded` puts this folder on the path where the real one cannot be installed.
"""

from __future__ import annotations

import ipaddress
import ssl
import subprocess
import tempfile
from pathlib import Path

_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


class CA:
    """A certificate authority in a folder of its own."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="ws-ca-", ignore_cleanup_errors=True)
        self._path = Path(self._folder.name)
        self._certificate, self._key = self._path / "ca.pem", self._path / "ca.key"
        subject = ("-subj", "/CN=Wirelark tests", "-addext", "keyUsage=critical,keyCertSign")
        _openssl("req", "-x509", *_NEW_KEY, "-keyout", self._key, "-out", self._certificate, "-days", "2", *subject)

    def issue_cert(self, *names: str) -> LeafCert:
        leaf = self._path / names[0]
        key, request, certificate, extensions = (leaf.with_suffix(f".{end}") for end in ("key", "csr", "pem", "ext"))
        extensions.write_text("subjectAltName=" + ",".join(map(_alternative_name, names)))
        _openssl("req", "-new", *_NEW_KEY, "-keyout", key, "-out", request, "-subj", "/CN=leaf")
        issuer = ("-CA", self._certificate, "-CAkey", self._key, "-CAcreateserial")
        _openssl("x509", "-req", "-in", request, *issuer, "-out", certificate, "-days", "2", "-extfile", extensions)
        return LeafCert(certificate, key)

    def configure_trust(self, context: ssl.SSLContext) -> None:
        context.load_verify_locations(self._certificate)


class LeafCert:
    def __init__(self, certificate: Path, key: Path) -> None:
        self._certificate = certificate
        self._key = key

    def configure_cert(self, context: ssl.SSLContext) -> None:
        context.load_cert_chain(self._certificate, self._key)


def _alternative_name(name: str) -> str:
    try:
        return f"IP:{ipaddress.ip_address(name)}"
    except ValueError:
        return f"DNS:{name}"

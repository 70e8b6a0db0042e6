"""Real proxies, each started when a test first asks for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from harness import certificate_authority
from proxies import Park


@pytest.fixture(scope="session")
def park() -> Iterator[Park]:
    issued = certificate_authority().issue_cert("localhost", "127.0.0.1")
    park = Park(b"".join(blob.bytes() for blob in issued.cert_chain_pems), issued.private_key_pem.bytes())
    yield park
    park.close()

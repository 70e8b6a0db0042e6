"""Proxies that we did not write: what each can, how it is started on loopback, how it ends.

Those from PyPI need nothing but pip. Those from Debian are installed by `nox -s proxies`, which asks for them by
WIRELARK_PROXIES=all: then every one must be there. For benchmarks, too: this file knows nothing of pytest and ws_core.
"""

from __future__ import annotations

import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

#: By the rules of every proxy that has rules.
FORBIDDEN_HOST = "127.0.0.2"

_START_S = 30.0
_ATTEMPTS = 5
# Below the ports that the system gives to whoever does not care: nobody takes one between our look and the daemon's.
_PORTS = range(20000, 32000)


class Program(NamedTuple):
    """What to expect of a proxy. Codes are HTTP statuses or SOCKS reply codes; None: it closes, or it says yes and then
    closes."""

    #: "http auth": asked with user name and password.
    schemes: tuple[str, ...]
    #: On the PATH; None: a package of Python.
    executable: str | None = None
    #: For a target where nobody listens.
    unreachable: int | None = None
    #: For FORBIDDEN_HOST; 0: it has no rules.
    forbidden: int | None = None
    #: With a space, a colon and a slash, which a URL must percent-encode.
    user: str = "us er"
    password: str = "s3:cr/et"
    #: Schemes with which it finds no IPv6 address; SOCKS4 cannot anyway.
    ipv4_only: tuple[str, ...] = ()


_SOCKS = ("socks4", "socks4a", "socks5", "socks5h")
PYPI = {
    "pproxy": Program(("http", "http auth", "https", "https auth", "socks4", "socks5", "socks5 auth", "socks5h")),
    "proxy.py": Program(("http", "http auth", "https", "https auth"), ipv4_only=("http", "https")),
    "tiny-proxy": Program(("http", "http auth", *_SOCKS, "socks5 auth"), forbidden=0, ipv4_only=("http",)),
}
_SIMPLE = ("us-er", "s3.cr-et")  # whose configuration takes nothing else
DEBIAN = {
    "tinyproxy": Program(("http", "http auth"), "tinyproxy", 500, 403, *_SIMPLE),
    "squid": Program(("http", "http auth"), "squid", 503, 403),
    "privoxy": Program(("http",), "privoxy", 503, 403),
    # Not socks4a: dante 1.4.2 connects to the address 0.0.0.1 then.
    "danted": Program(("socks4", "socks5", "socks5h"), "danted", 5, 2),
    "microsocks": Program(("socks5", "socks5 auth", "socks5h", "socks5h auth"), "microsocks", 5, 0),
    # TLS in front of tinyproxy, and of squid.
    "stunnel": Program(("https", "https auth"), "stunnel4", 500, 403, *_SIMPLE),
    "haproxy": Program(("https", "https auth"), "haproxy", 503, 403),
}
ALL = {**PYPI, **DEBIAN}


def programs() -> dict[str, Program]:
    """Those that take part. RuntimeError if one is missing that was asked for."""
    if os.environ.get("WIRELARK_PROXIES") != "all":
        return PYPI
    missing = [name for name, program in DEBIAN.items() if find(str(program.executable)) is None]
    if missing:
        raise RuntimeError(f"WIRELARK_PROXIES=all, and these are not installed: {', '.join(missing)}")
    return ALL


def find(executable: str) -> str | None:
    """The path of a daemon: most lie where only root's PATH leads."""
    return shutil.which(executable, path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"]))


class Park:
    """Starts a proxy when it is first asked for, and keeps it until close(). A proxy is named by its program, its
    scheme and perhaps "auth": "pproxy socks5 auth"."""

    def __init__(self, certificate: bytes, key: bytes) -> None:
        """`certificate`, a chain, and `key` in PEM: of the https:// proxies, for 127.0.0.1 and localhost."""
        self._temporary = tempfile.TemporaryDirectory(prefix="ws-proxies-", dir="/tmp")
        self.folder = Path(self._temporary.name)
        self.certificate = self._write("certificate.pem", certificate)
        self.key = self._write("key.pem", key)
        self.both = self._write("both.pem", key + certificate)
        self._processes: list[subprocess.Popen[bytes]] = []
        self._ports: dict[tuple[str, str, bool], int] = {}
        # Daemons that root starts become somebody else, who may not enter our folder otherwise.
        self._daemons: dict[str, Any] = {}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            self._daemons = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            for path in (self.folder, *self.folder.iterdir()):
                os.chown(path, nobody.pw_uid, nobody.pw_gid)

    def url(self, which: str, password: str | None = None) -> str:
        """Of a proxy, which runs from now on. `password`: instead of the right one."""
        program, scheme, *auth = which.split()
        user_info = ""
        if auth:
            entry = ALL[program]
            user_info = f"{quote(entry.user, safe='')}:{quote(password or entry.password, safe='')}@"
        return f"{scheme}://{user_info}127.0.0.1:{self.port(program, scheme, bool(auth))}"

    def port(self, program: str, scheme: str, auth: bool) -> int:
        family = scheme.removesuffix("h" if scheme == "socks5h" else "a")
        if program in ("pproxy", "danted") and family != "https":
            family = "all"  # in one process
        key = (program, family, auth)
        if key not in self._ports:
            self._ports[key] = self._start(program, family, auth)
        return self._ports[key]

    def close(self) -> None:
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                pass
            try:
                os.killpg(process.pid, signal.SIGKILL)  # workers that outlive their parent, and what did not listen
            except ProcessLookupError:
                pass
            process.wait()
        self._temporary.cleanup()

    # ------------------------------------------------------------- starting

    def _start(self, program: str, family: str, auth: bool) -> int:
        make = getattr(self, "_" + program.replace("-", "_").replace(".", "_"))
        said = b""
        for _ in range(_ATTEMPTS):
            port = free_port()
            log = self.folder / f"{program}-{family}-{port}.log"
            with log.open("wb") as output:
                process = subprocess.Popen(
                    make(port, family, auth),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    cwd=self.folder,
                    start_new_session=True,
                    env={**os.environ, "TMPDIR": str(self.folder)},
                    **(self._daemons if program in DEBIAN else {}),
                )
            self._processes.append(process)
            if listens(process, port):
                return port
            said = log.read_bytes()
        raise RuntimeError(f"{program} does not start; it says:\n{said.decode(errors='replace')}")

    def _write(self, name: str, content: str | bytes) -> Path:
        path = self.folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        path.chmod(0o644)
        return path

    def _configuration(self, program: str, port: int, text: str) -> str:
        return str(self._write(f"{program}-{port}.conf", text))

    # ------------------------------------------------------------- Python's

    def _python(self, code: str, *arguments: object) -> list[str]:
        return [sys.executable, "-W", "ignore", "-c", code, *map(str, arguments)]

    def _pproxy(self, port: int, family: str, auth: bool) -> list[str]:
        entry = ALL["pproxy"]
        uri = f"{'http+ssl' if family == 'https' else 'http+socks4+socks5'}://:{port}"
        if auth:
            uri += f"#{entry.user}:{entry.password}"
        return self._python(_PPROXY, uri.replace("//:", "//127.0.0.1:"), self.certificate, self.key, FORBIDDEN_HOST)

    def _proxy_py(self, port: int, family: str, auth: bool) -> list[str]:
        command = [sys.executable, "-W", "ignore", "-m", "proxy", "--hostname", "127.0.0.1", "--port", str(port)]
        command += ["--num-acceptors", "1", "--num-workers", "1", "--data-dir", str(self.folder / f"proxy.py-{port}")]
        command += ["--plugins", "proxy.plugin.FilterByUpstreamHostPlugin", "--filtered-upstream-hosts", FORBIDDEN_HOST]
        if family == "https":
            command += ["--cert-file", str(self.certificate), "--key-file", str(self.key)]
        if auth:
            command += ["--basic-auth", f"{ALL['proxy.py'].user}:{ALL['proxy.py'].password}"]
        return command

    def _tiny_proxy(self, port: int, family: str, auth: bool) -> list[str]:
        entry = ALL["tiny-proxy"]
        return self._python(_TINY_PROXY, family.capitalize(), port, *([entry.user, entry.password] if auth else []))

    # ------------------------------------------------------------- Debian's

    def _tinyproxy(self, port: int, family: str, auth: bool) -> list[str]:
        rules = self._write(f"tinyproxy-{port}.rules", FORBIDDEN_HOST.replace(".", r"\.") + "\n")
        text = f'Listen 127.0.0.1\nPort {port}\nTimeout 60\nMaxClients 100\nFilter "{rules}"\n'
        if auth:
            text += f"BasicAuth {ALL['tinyproxy'].user} {ALL['tinyproxy'].password}\n"
        return [str(find("tinyproxy")), "-d", "-c", self._configuration("tinyproxy", port, text)]

    def _squid(self, port: int, family: str, auth: bool) -> list[str]:
        lines = [
            f"http_port 127.0.0.1:{port}",
            "visible_hostname proxy.test",
            "pid_filename none",
            f"cache_log {self.folder}/squid-{port}.cache.log",
            "access_log none",
            "netdb_filename none",
            f"coredump_dir {self.folder}",
            "cache deny all",
            "shutdown_lifetime 0 seconds",
            f"acl forbidden dst {FORBIDDEN_HOST}",
        ]
        if auth:
            # Its helpers get name and password on a line, percent-encoded.
            check = self._write(
                f"squid-{port}.sh",
                'while read -r line; do case "$line" in "us%20er s3:cr/et" | "us%20er s3%3Acr%2Fet" | '
                '"us%20er s3%3acr%2fet") echo OK;; *) echo ERR;; esac; done\n',
            )
            lines += [
                f"auth_param basic program /bin/sh {check}",
                "auth_param basic children 1 startup=1",
                "acl known proxy_auth REQUIRED",
                "http_access deny !known",
            ]
        lines += ["http_access deny forbidden", "http_access allow all", ""]
        return [str(find("squid")), "-N", "-d", "1", "-f", self._configuration("squid", port, "\n".join(lines))]

    def _privoxy(self, port: int, family: str, auth: bool) -> list[str]:
        self._write("privoxy.action", f"{{+block{{by the test}}}}\n{FORBIDDEN_HOST}\n")
        text = f"listen-address 127.0.0.1:{port}\nconfdir {self.folder}\nlogdir {self.folder}\n"
        text += "templdir /etc/privoxy/templates\nactionsfile privoxy.action\n"
        return [str(find("privoxy")), "--no-daemon", self._configuration("privoxy", port, text)]

    def _danted(self, port: int, family: str, auth: bool) -> list[str]:
        text = f"""
            errorlog: stderr
            internal: 127.0.0.1 port = {port}
            external: lo
            clientmethod: none
            socksmethod: none
            client pass {{ from: 0.0.0.0/0 to: 0/0 }}
            socks block {{ from: 0.0.0.0/0 to: {FORBIDDEN_HOST}/32 }}
            socks pass {{ from: 0.0.0.0/0 to: 0/0 }}
        """
        return [str(find("danted")), "-f", self._configuration("danted", port, text)]

    def _microsocks(self, port: int, family: str, auth: bool) -> list[str]:
        command = [str(find("microsocks")), "-i", "127.0.0.1", "-p", str(port)]
        return [*command, "-u", ALL["microsocks"].user, "-P", ALL["microsocks"].password] if auth else command

    def _stunnel(self, port: int, family: str, auth: bool) -> list[str]:
        text = f"foreground = yes\npid =\n[proxy]\naccept = 127.0.0.1:{port}\ncert = {self.both}\n"
        text += f"connect = 127.0.0.1:{self.port('tinyproxy', 'http', auth)}\n"
        return [str(find("stunnel4")), self._configuration("stunnel", port, text)]

    def _haproxy(self, port: int, family: str, auth: bool) -> list[str]:
        text = "defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 60s\n  timeout server 60s\n"
        text += f"listen proxy\n  bind 127.0.0.1:{port} ssl crt {self.both}\n"
        text += f"  server behind 127.0.0.1:{self.port('squid', 'http', auth)}\n"
        return [str(find("haproxy")), "-db", "-f", self._configuration("haproxy", port, text)]


def free_port() -> int:
    choose = random.SystemRandom()
    while True:
        port = choose.choice(_PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port


def listens(process: subprocess.Popen[bytes], port: int) -> bool:
    """Wait until it does; False if it has ended."""
    end = time.monotonic() + _START_S
    while process.poll() is None and time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.02)
            continue
        return process.poll() is None
    return False


_PPROXY = """
import asyncio, sys
import pproxy

async def main():
    uri, certificate, key, forbidden = sys.argv[1:]
    server = pproxy.Server(uri)
    if "ssl" in uri:
        server.sslserver.load_cert_chain(certificate, key)
    # authtime: an address that has authenticated once would need no password for a month.
    options = {"rserver": [pproxy.Connection("direct://")], "authtime": 0, "block": forbidden.__eq__}
    await server.start_server(options)
    await asyncio.Event().wait()

asyncio.run(main())
"""

_TINY_PROXY = """
import sys
import anyio, tiny_proxy

async def main():
    kind, port, *credentials = sys.argv[1:]
    handler = getattr(tiny_proxy, kind + "ProxyHandler")(*credentials)
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=int(port))
    await listener.serve(handler.handle)

anyio.run(main)
"""

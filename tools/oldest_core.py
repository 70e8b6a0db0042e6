"""Tests a package on the oldest core that its pyproject.toml allows: ``oldest_core.py PACKAGE [PYTEST ARGUMENTS]``.

Installs into the environment it runs in: that core, from its tag (or from the tree, if the tree has that version), the
package from its own wheel, and what the tests need.
"""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VERSION = ROOT / "packages/ws-core/src/ws_core/_version.py"


def oldest(package: str) -> str:
    """The version behind ``wirelark-ws-core>=``."""
    text = (ROOT / "packages" / package / "pyproject.toml").read_text()
    (found,) = re.findall(r'"wirelark-ws-core>=([\d.]+)"', text)
    return str(found)


def same_release(a: str, b: str) -> bool:
    """0.1 is 0.1.0."""
    return re.sub(r"(\.0)+$", "", a) == re.sub(r"(\.0)+$", "", b)


def source_of_core(version: str, folder: Path) -> Path:
    """packages/ws-core as it was in `version`, unpacked into `folder`."""
    current = VERSION.read_text().split('"')[1]
    if same_release(current, version):
        return ROOT / "packages/ws-core"
    tags = subprocess.run(["git", "tag", "-l", "ws-core-v*"], cwd=ROOT, capture_output=True, text=True, check=True)
    for tag in tags.stdout.split():
        if same_release(tag.removeprefix("ws-core-v"), version):
            archive = ["git", "archive", tag, "packages/ws-core"]
            data = subprocess.run(archive, cwd=ROOT, capture_output=True, check=True).stdout
            with tarfile.open(fileobj=io.BytesIO(data)) as tar:
                tar.extractall(folder)
            return folder / "packages/ws-core"
    raise SystemExit(f"no tag ws-core-v{version}, and the tree has {current}")


def main(package: str, *arguments: str) -> int:
    version = oldest(package)
    pip = [sys.executable, "-m", "pip"]
    with tempfile.TemporaryDirectory(prefix="oldest-core-") as temporary:
        folder = Path(temporary)
        wheels = folder / "wheels"
        for source in (source_of_core(version, folder), ROOT / "packages" / package):
            copy = folder / "copies" / source.name  # what building leaves behind must not lie in the tree
            shutil.copytree(source, copy, ignore=shutil.ignore_patterns("build", "*.egg-info", "*.so"))
            subprocess.run([*pip, "wheel", "-q", "--no-deps", "-w", wheels, copy], check=True)
        needs = ["-r", ROOT / "tests/requirements.txt"]
        subprocess.run([*pip, "install", "-q", "--force-reinstall", *wheels.glob("*.whl"), *needs], check=True)
    print(f"{package} on wirelark-ws-core {version}", flush=True)
    tests = arguments or (f"packages/{package}/tests",)
    return subprocess.run([sys.executable, "-m", "pytest", "-q", *tests], cwd=ROOT).returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

"""Which layout the compiled classes have, and the refusal of modules that were compiled against another one.

A Cython module that cimports WSListener, WSTransport or WSFrame has their fields and the order of their methods
compiled in. With another core it would call the wrong method without a word. So the layout has a number, made from the
.pxd files and the headers behind them. setup.py compiles it into core and writes it into `_layout.pxd`, as the *name of
a type* that `ws_core/__init__.pxd` cimports. A module that cimports anything from ws_core asks this one for that name
when it is imported: Cython makes it so, nobody has to call anything, and none of its code runs before.

Whoever cimports a class past ws_core, from the module that has it, would not ask: that does not compile (_frame.pxd).
"""

from __future__ import annotations

import re
import zlib
from pathlib import Path

_PREFIX = "layout_"


def layout_number(package: Path) -> int:
    """The number of the layout that the .pxd files below `package` describe: 32 bits, comments do not count."""
    crc = 0
    for path in sorted([*package.glob("_*.pxd"), *package.glob("_wire/*.h")]):
        if path.name in ("__init__.pxd", "_layout.pxd"):
            continue  # declarations of what is versioned in another way; what is made from the number
        text = path.read_text(encoding="utf-8")
        text = re.sub(r"#.*" if path.suffix == ".pxd" else r"/\*.*?\*/", "", text, flags=re.S * (path.suffix == ".h"))
        crc = zlib.crc32(f"{path.name}\n{' '.join(text.split())}\n".encode(), crc)
    return crc


def write_layout_pxd(package: Path) -> int:
    """Write `_layout.pxd` for the files below `package`; returns the number."""
    number = layout_number(package)
    text = (
        "# Made by setup.py from the other .pxd files: see _layout.py.\n\n"
        "cdef extern from *:\n"
        '    """\n    #define WS_CORE_LAYOUT_IS_CHECKED\n    """\n'
        f"    ctypedef class ws_core._layout.{_PREFIX}{number:08x} [object PyObject]:\n"
        "        pass\n"
    )
    path = package / "_layout.pxd"
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
    return number


def __getattr__(name: str) -> type:
    """The name that a compiled module asks for: ImportError if it stands for another layout."""
    if not name.startswith(_PREFIX):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from ws_core._capi import layout
    from ws_core._version import __version__

    if name != f"{_PREFIX}{layout:08x}":
        raise ImportError(
            f"this module was compiled against the classes of another build of ws_core ({name}) than the installed "
            f"ws_core {__version__} ({_PREFIX}{layout:08x}): rebuild it against the installed one, with what it needs "
            "to build (setuptools, Cython) installed: pip install --force-reinstall --no-deps --no-cache-dir "
            "--no-build-isolation --no-binary THE_PACKAGE THE_PACKAGE"
        )
    return object

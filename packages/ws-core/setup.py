"""The extension modules, and nothing else; everything static is in pyproject.toml."""

import runpy
import sys
from glob import glob
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

PACKAGE = "src/ws_core"
WIRE = f"{PACKAGE}/_wire"
# Every header: setuptools rebuilds an object only when something in its
# `depends` has changed.
LAYOUT = runpy.run_path(f"{PACKAGE}/_layout.py")["write_layout_pxd"](Path(PACKAGE))
HEADERS = [*glob(f"{WIRE}/*.h"), *glob(f"{PACKAGE}/*.h"), *glob(f"{PACKAGE}/include/*.h"), *glob(f"{PACKAGE}/*.pxd")]


def module(name: str, *wire: str) -> Extension:
    return Extension(
        f"ws_core.{name}",
        [f"{PACKAGE}/{name}.pyx", *(f"{WIRE}/{part}.c" for part in wire)],
        include_dirs=[f"{PACKAGE}/include"],
        depends=HEADERS,
        extra_compile_args=[]
        if sys.platform == "win32"
        else ["-std=c11", "-O3", "-g1", "-fvisibility=hidden", "-pthread"],
        define_macros=[
            ("_GNU_SOURCE", "1"),
            ("WS_CORE_BUILD", "1"),
            *([("WS_CORE_LAYOUT", f"{LAYOUT}u")] if name == "_capi" else []),
        ],
        libraries=["bcrypt"] if sys.platform == "win32" and "entropy" in wire else [],
    )


setup(
    ext_modules=cythonize(
        [
            module("_buffer"),
            module("_frame"),
            module("_hooks"),
            module("_sender", "header", "mask", "entropy"),
            module("_ending", "header", "mask", "utf8", "reader"),
            module("_transport", "header", "mask"),
            module("_listener"),
            module("_broadcast", "header", "mask"),
            module("_receiver", "header", "mask", "utf8", "reader"),
            module("_protocol"),
            module("_socket", "header", "mask", "entropy", "utf8", "reader"),
            module("_adopting"),
            module("_capi", "header", "mask"),
        ],
        include_path=["src"],
        build_dir="build/cython",
        compiler_directives={
            "language_level": "3",
            "freethreading_compatible": True,
            "embedsignature": True,
            # It takes every uint8_t * for a string that ends with a zero: copy.copy(transport) read where it points.
            "auto_pickle": False,
        },
    )
)

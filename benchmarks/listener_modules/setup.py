"""The listeners in Cython, against the ws_core and the picows that are installed: one source, two libraries."""

import re
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

import ws_core

PICOWS = "from picows.picows cimport WSFrame, WSListener, WSMsgType as MsgType, WSTransport\n"

source = Path("bench_listeners_ws_core.pyx")
text, found = re.subn("# <library>\n.*# </library>\n", PICOWS, source.read_text(), flags=re.S)
assert found == 1
Path("bench_listeners_picows.pyx").write_text(text)
extensions = [
    Extension(
        f"bench_listeners_{library}",
        [f"bench_listeners_{library}.pyx"],
        include_dirs=[ws_core.get_include()],
        extra_compile_args=["-O3"],
    )
    for library in ("ws_core", "picows")
]
setup(name="bench-listeners", ext_modules=cythonize(extensions, language_level="3"))

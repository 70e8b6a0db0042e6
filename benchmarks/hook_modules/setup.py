"""The compiled hooks of benchmarks/hooks.py, against the ws_core that is installed."""

from Cython.Build import cythonize
from setuptools import Extension, setup

import ws_core

MODULES = {"bench_hooks_c": "bench_hooks_c.c", "bench_hooks_cython": "bench_hooks_cython.pyx"}
extensions = [
    Extension(name, [source], include_dirs=[ws_core.get_include()], extra_compile_args=["-O3"])
    for name, source in MODULES.items()
]
setup(name="bench-hooks", ext_modules=cythonize(extensions, language_level="3"))

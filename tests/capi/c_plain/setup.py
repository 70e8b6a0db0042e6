"""One C module against the installed ws_core, without a warning."""

from setuptools import Extension, setup

import ws_core

module = Extension(
    "capi_c_plain",
    ["capi_c_plain.c"],
    include_dirs=[ws_core.get_include()],
    extra_compile_args=["-std=c11", "-Wall", "-Wextra", "-Werror"],
)
setup(ext_modules=[module])

"""One C++17 module against the installed ws_core, without a warning."""

from setuptools import Extension, setup

import ws_core

module = Extension(
    "capi_cpp17",
    ["capi_cpp17.cpp"],
    include_dirs=[ws_core.get_include()],
    extra_compile_args=["-std=c++17", "-Wall", "-Wextra", "-Werror"],
)
setup(ext_modules=[module])

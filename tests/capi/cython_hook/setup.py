"""One Cython module against the installed ws_core."""

from Cython.Build import cythonize
from setuptools import Extension, setup

import ws_core

module = Extension("capi_cython_hook", ["capi_cython_hook.pyx"], include_dirs=[ws_core.get_include()])
setup(ext_modules=cythonize([module], language_level="3"))

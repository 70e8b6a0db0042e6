"""One extension module, compiled against the ws_core that is installed; Cython finds the .pxd files there by itself."""

from Cython.Build import cythonize
from setuptools import Extension, setup

import ws_core

setup(ext_modules=cythonize([Extension("fast_echo", ["fast_echo.pyx"], include_dirs=[ws_core.get_include()])]))

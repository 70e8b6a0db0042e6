"""One extension module, compiled against the ws_core that is installed; Cython finds the .pxd files there by itself."""

from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

import ws_core

INCLUDE = str(Path(ws_core.__file__).parent)  # what the .pxd files include

setup(ext_modules=cythonize([Extension("fast_echo", ["fast_echo.pyx"], include_dirs=[INCLUDE])]))

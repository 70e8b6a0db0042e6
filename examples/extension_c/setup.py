"""What pyproject.toml cannot say: where ws_core.h lies."""

from setuptools import Extension, setup

import ws_core

setup(ext_modules=[Extension("_wordcount", ["_wordcount.c"], include_dirs=[ws_core.get_include()])])

"""Sphinx: the site of docs/, by `nox -s docs`. Pages are Markdown, also for GitHub; the API comes from docstrings.

Every reference must be known (-n), and every warning is an error (-W), so links within the tree are checked. External
ones are not followed: the machines that build this reach no web site. There is no linkcheck builder and no intersphinx,
and names of other projects are left alone below.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

import ws_core

project = "Wirelark"
author = "the authors of Wirelark"
release = version = ws_core.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "shown_files", "typed_signatures"]
exclude_patterns = ["_ext", "requirements.txt"]
html_theme = "furo"
html_title = "Wirelark"
html_copy_source = False
html_show_copyright = False

# Links to headings, as GitHub makes them.
myst_heading_anchors = 4

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
autodoc_type_aliases = {name: f"ws_core.{name}" for name in ("WSLoggerLike", "WSServerListenerFactory")}
autodoc_inherit_docstrings = False
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 100

# Of the standard library, of multidict, and type variables.
nitpick_ignore_regex = [
    ("py:.*", r"(asyncio|collections|contextlib|http|logging|random|socket|ssl|typing|multidict)\..*"),
    (
        "py:.*",
        r"(Any|Awaitable|Buffer|Callable|CIMultiDict|HTTPStatus|Iterable|Iterator|Mapping|Self|Sequence|SSLContext)",
    ),
    ("py:.*", r"(AbstractContextManager|AbstractEventLoop|AsyncIterator|optional|_[A-Z]\w*|.*\._[A-Z]\w*)"),
]
# A block that names no language is no code.
highlight_language = "none"

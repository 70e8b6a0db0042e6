"""Links to files that are no pages (examples, ws_core.h) lead to pages that show them, and not to downloads.

The list of examples, whose links are written for their folder, is a page, too. Links to Markdown outside of docs/
become the names of the files.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.addnodes import download_reference
from sphinx.application import Sphinx

ROOT = Path(__file__).parent.parent.parent
LANGUAGES = {".py": "python", ".pyx": "cython", ".h": "c"}


def read(app: Sphinx, page: str, source: list[str]) -> None:
    """The handler of source-read."""
    if page == "examples":
        source[0] = re.sub(r"\]\((?!\w+:)", "](../examples/", (ROOT / "examples/README.md").read_text())

    def named(link: re.Match[str]) -> str:
        path = (Path(app.srcdir, page).parent / link[2]).resolve()
        if path.is_relative_to(app.srcdir):
            return link[0]
        return f"{link[1]} (`{path.relative_to(ROOT).as_posix()}`)"

    source[0] = re.sub(r"\[([^]]*)\]\(((?:\.\./)+[\w/.-]+\.md)(?:#[\w-]*)?\)", named, source[0])


def show_instead(app: Sphinx, doctree: nodes.document, page: str) -> None:
    """The handler of doctree-resolved."""
    if app.builder.format != "html":
        return
    for node in list(doctree.findall(download_reference)):
        name = (Path(app.srcdir, page).parent / node["reftarget"]).resolve().relative_to(ROOT).as_posix()
        if Path(name).suffix in LANGUAGES:
            uri = app.builder.get_relative_uri(page, f"_files/{name}")
            node.replace_self(nodes.reference("", "", *node.children, internal=True, refuri=uri))


def pages(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    """The handler of html-collect-pages."""
    for path in sorted({Path(app.srcdir, name).resolve() for name in app.env.dlfiles}):
        if path.suffix in LANGUAGES:
            name = path.relative_to(ROOT).as_posix()
            text = app.builder.highlighter.highlight_block(path.read_text(), LANGUAGES[path.suffix])
            yield f"_files/{name}", {"title": name, "body": f"<h1>{name}</h1>{text}"}, "page.html"


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("source-read", read)
    app.connect("doctree-resolved", show_instead)
    app.connect("html-collect-pages", pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

"""For autodoc: signatures of compiled names with the types of their stubs, and one name for each public object.

What Cython embeds in docstrings says `bint fin=True`; ws-types says `fin: bool = True`.
"""

from __future__ import annotations

import ast
import inspect
import re
from importlib.metadata import files
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

import ws_core

Function = ast.FunctionDef | ast.AsyncFunctionDef
# Of ws_core.extension: for those who write extensions, and not in ws_core itself.
PROTOCOLS = ("Connector", "Listening")


def read_stubs() -> dict[str, Function]:
    """Functions and methods of all stubs, by "Class.method" or "function"; of overloads the last, most general one."""
    found: dict[str, Function] = {}
    for file in files("wirelark-ws-types") or ():
        path = Path(str(file.locate()))
        if path.suffix == ".pyi":
            read_body(ast.parse(path.read_text()).body, "", found)
    return found


def read_body(body: list[ast.stmt], prefix: str, found: dict[str, Function]) -> None:
    for node in body:
        if isinstance(node, ast.ClassDef):
            read_body(node.body, f"{node.name}.", found)
        elif isinstance(node, Function):
            found[prefix + node.name] = node


STUBS = read_stubs()


def signature(app: Sphinx, what: str, name: str, obj: Any, options: Any, args: str | None, returns: str | None) -> Any:
    """The handler of autodoc-process-signature."""
    if what in ("class", "exception") and args == "()":  # so the pages mark what nobody but the library makes
        return "", None
    if args is None or inspect.isfunction(obj):
        return None  # no function, or written in Python: it has annotations of its own
    node = stub_of(name)
    if node is None:
        return None
    if node.args.args and node.args.args[0].arg == "self":
        del node.args.args[0]
    # A stub may leave a default out, the embedded signature does not.
    defaults = dict(re.findall(r"(\w+)=([^,)]+)", args))
    arguments = re.sub(
        r"(\w+)(: [^,=]+=)\.\.\.", lambda found: found[1] + found[2] + defaults[found[1]], ast.unparse(node.args)
    )
    return f"({arguments})", ast.unparse(node.returns) if node.returns else None


def stub_of(name: str) -> Function | None:
    *_, owner, method = ["", *name.split(".")]
    for cls in getattr(getattr(ws_core, owner, None), "__mro__", ()):  # a method may be inherited
        if (node := STUBS.get(f"{cls.__name__}.{method}")) is not None:
            return node
    return STUBS.get(method)


def docstring(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """The handler of autodoc-process-docstring: no embedded signature, which autodoc leaves in; types of properties.

    What a constant says is said by its page: its docstring is that of int, or of unions.
    """
    if what == "data" and getattr(obj, "__doc__", None) == type(obj).__doc__:
        lines.clear()
    if lines and lines[0].startswith(f"{name.rpartition('.')[2]}("):
        del lines[0]
    if inspect.isgetsetdescriptor(obj) and (node := stub_of(name)) is not None and node.returns is not None:
        lines += ["", f":type: {ast.unparse(node.returns)}", ""]


def public_name(app: Sphinx, env: BuildEnvironment, node: pending_xref, content: nodes.Element) -> Any:
    """The handler of missing-reference: ws_core._transport.WSTransport is WSTransport of ws_core."""
    name = node.get("reftarget", "").rpartition(".")[2]
    module = "ws_core" if name in ws_core.__all__ else "ws_core.extension" if name in PROTOCOLS else None
    if node.get("refdomain") != "py" or module is None or node.get("public_name_tried"):
        return None
    node["public_name_tried"] = True
    domain = env.get_domain("py")
    return domain.resolve_xref(env, node["refdoc"], app.builder, "obj", f"{module}.{name}", node, content)


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("autodoc-process-signature", signature)
    app.connect("autodoc-process-docstring", docstring)
    app.connect("missing-reference", public_name)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

# What type checkers take for WSListener where wirelark-ws-types is not installed: its stub of the same name stands in
# front of this file. Nothing imports it at run time. Why it is done this way: docs/explanation/design.md, Types.
from typing import Any, final

@final
class pip_install_wirelark_ws_types(Any):  # type: ignore[misc]
    """WSListener is compiled. For type checkers it is described by a package of its own: wirelark-ws-types."""

WSListener = pip_install_wirelark_ws_types

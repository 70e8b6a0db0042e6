# What a type checker takes for WSListener where wirelark-ws-types is not installed; its stub of the same name replaces
# this file. Whoever subclasses WSListener is told, once for each listener, what to install. Nothing imports it at run
# time. (A name in an error is all that a library can say to a type checker: mypy is silent about compiled modules
# without stubs as soon as there is a py.typed.)
from typing import Any, final

@final
class pip_install_wirelark_ws_types(Any): ...  # type: ignore[misc]

WSListener = pip_install_wirelark_ws_types

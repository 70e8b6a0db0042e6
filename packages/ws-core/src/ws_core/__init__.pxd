# What `from ws_core cimport ...` gives: the cdef classes, and the C API.
#
# _layout comes first: importing a module that was compiled with another layout
# of these classes is an ImportError, see _layout.py.

cimport ws_core._layout
from ws_core._frame cimport WSFrame
from ws_core._listener cimport WSListener
from ws_core._transport cimport WSTransport
from ws_core.capi cimport (
    WS_BIT_FIN, WS_BIT_RSV1, WS_BIT_RSV2, WS_BIT_RSV3, WS_CONTROL_MAX, WS_CORE_ABI_MAJOR, WS_CORE_ABI_MINOR,
    WS_HEADER_MAX, WS_HOOK_CONSUME, WS_HOOK_PASS, WS_HOOK_REPLACE, WS_OP_BINARY, WS_OP_CLOSE, WS_OP_CONTINUATION,
    WS_OP_MASK, WS_OP_PING, WS_OP_PONG, WS_OP_TEXT, ws_core_api, ws_core_import, ws_hook_calls, ws_listener_calls,
    ws_message,
)

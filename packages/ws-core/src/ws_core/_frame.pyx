# WSFrame: one received frame, as a listener sees it.
#
# A frame points into the Block it was received in and holds it. A memoryview
# of a frame holds the frame. So both may be kept for as long as anybody likes.
# This file knows how to present a frame's payload; which frames may come and
# where their bytes live is decided in _wire/reader.c and _buffer.pyx.

cimport cython
from cpython.buffer cimport PyBuffer_FillInfo
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.memoryview cimport PyMemoryView_FromObject
from cpython.unicode cimport PyUnicode_DATA, PyUnicode_DecodeASCII, PyUnicode_DecodeUTF8, PyUnicode_New
from libc.string cimport memcpy
from ws_core._buffer cimport new_block, ws_count_add, ws_count_sub
from ws_core._wire cimport (
    WL_BIT_FIN, WL_BIT_RSV1, WL_BIT_RSV2, WL_BIT_RSV3, WL_OP_CLOSE, WL_OPCODE_MASK, wl_skip_ascii,
)

from ws_core.enums import FastEnumMeta, WSCloseCode, WSMsgType

cdef extern from *:
    """
    /* Until Python 3.12 EnumMeta has a __getattr__, and so each look-up of a member goes a long way: 170 ns for the
     * WSMsgType.TEXT that a listener compares with, more than the rest of a frame takes. Nothing needs it here. */
    static void ws_look_up_like_type(PyObject *metaclass)
    {
    #if PY_VERSION_HEX < 0x030C0000
        ((PyTypeObject *)metaclass)->tp_getattro = PyType_Type.tp_getattro;
        PyType_Modified((PyTypeObject *)metaclass);
    #else
        (void)metaclass;
    #endif
    }
    """
    void ws_look_up_like_type(object metaclass)

ws_look_up_like_type(FastEnumMeta)

cdef list _msg_types = [WSMsgType(op) if op in WSMsgType.__members__.values() else op for op in range(16)]
cdef dict _close_codes = {int(code): code for code in WSCloseCode}


cdef object close_code_object(unsigned code):
    """The WSCloseCode of a number, or the number itself where none has a name."""
    return _close_codes.get(code, code)


@cython.final
@cython.no_gc
@cython.freelist(64)
cdef class WSFrame:
    """
    One received frame (RFC 6455 section 5.2). Read-only, also as a buffer.

    Passed to :meth:`WSListener.on_ws_frame`. A frame, or a memoryview of it,
    may be kept after the callback: it stays valid and unchanged as long as it
    is kept. What is kept keeps the memory block in which it was received
    (shared with its neighbours, up to 128 KiB for small frames): for a long
    time, ``get_payload_as_bytes()`` may be the cheaper thing to keep.
    """

    def __cinit__(self):
        self.payload_ptr = b""

    def __dealloc__(self):
        if self._block is not None:
            ws_count_sub(self._block.frames)

    def __init__(self):
        raise TypeError("a WSFrame is made by the transport that received it")

    @property
    def msg_type(self):
        """The opcode, as a :class:`WSMsgType`."""
        return _msg_types[self.first & WL_OPCODE_MASK]

    @property
    def fin(self):
        """Whether this is the last (or only) frame of its message."""
        return (self.first & WL_BIT_FIN) != 0

    @property
    def rsv1(self):
        """First reserved bit; extensions such as compression use it."""
        return (self.first & WL_BIT_RSV1) != 0

    @property
    def rsv2(self):
        """Second reserved bit."""
        return (self.first & WL_BIT_RSV2) != 0

    @property
    def rsv3(self):
        """Third reserved bit."""
        return (self.first & WL_BIT_RSV3) != 0

    def replace(self, *, payload=None, msg_type=None, fin=None, rsv1=None, rsv2=None, rsv3=None):
        """
        Another frame, for a :meth:`TransportHook.on_frame` to pass on: like this one but for what is given.

        :param payload: bytes-like, copied; None: this frame's
        """
        cdef Block block
        cdef WSFrame frame
        cdef uint8_t first = self.first
        if msg_type is not None:
            first = <uint8_t>(first & ~WL_OPCODE_MASK | <int>WSMsgType(msg_type))
        for bit, value in (
                (WL_BIT_FIN, fin), (WL_BIT_RSV1, rsv1), (WL_BIT_RSV2, rsv2), (WL_BIT_RSV3, rsv3)):
            if value is not None:
                first = <uint8_t>(first | bit if value else first & ~bit)
        if payload is None and self._block is not None:
            frame = new_frame(self._block, self.payload_ptr, self.payload_size, first)
        else:
            payload = bytes(memoryview(self if payload is None else payload))
            block = new_block(len(payload))
            memcpy(block.data, PyBytes_AS_STRING(payload), len(payload))
            frame = new_frame(block, <char *>block.data, len(payload), first)
        frame.tail_size = self.tail_size
        frame.last_in_buffer = self.last_in_buffer
        return frame

    cpdef bytes get_payload_as_bytes(self):
        """A copy of the payload."""
        return PyBytes_FromStringAndSize(self.payload_ptr, self.payload_size)

    cpdef str get_payload_as_utf8_text(self):
        """The payload as text. UnicodeDecodeError if it is not UTF-8, as a part of a fragmented text may be."""
        cdef const uint8_t *end = <uint8_t *>self.payload_ptr + self.payload_size
        if wl_skip_ascii(<uint8_t *>self.payload_ptr, end) != end:
            return PyUnicode_DecodeUTF8(self.payload_ptr, self.payload_size, NULL)
        text = PyUnicode_New(self.payload_size, 127)
        memcpy(PyUnicode_DATA(text), self.payload_ptr, self.payload_size)
        return text

    cpdef str get_payload_as_ascii_text(self):
        """The payload as text. UnicodeDecodeError if it is not ASCII."""
        return PyUnicode_DecodeASCII(self.payload_ptr, self.payload_size, NULL)

    cpdef object get_payload_as_memoryview(self):
        """A read-only view of the payload, without a copy. It may be kept."""
        return PyMemoryView_FromObject(self)

    cdef int _check_close(self) except -1:
        if self.first & WL_OPCODE_MASK != WL_OP_CLOSE:
            raise ValueError(f"only a CLOSE frame has a close code and a reason, this is {self}")
        return 0

    cpdef object get_close_code(self):
        """
        The status code of a CLOSE frame: a :class:`WSCloseCode`, an int where no
        name stands for it (3000 to 4999), ``NO_INFO`` if the frame has none.
        ValueError for any other frame.
        """
        self._check_close()
        if self.payload_size < 2:
            return WSCloseCode.NO_INFO
        return close_code_object((<uint8_t>self.payload_ptr[0] << 8) | <uint8_t>self.payload_ptr[1])

    cpdef bytes get_close_message(self):
        """The bytes behind the status code of a CLOSE frame; None if there are none. ValueError for any other frame."""
        self._check_close()
        if self.payload_size <= 2:
            return None
        return PyBytes_FromStringAndSize(self.payload_ptr + 2, self.payload_size - 2)

    cpdef str get_close_reason(self):
        """The reason of a CLOSE frame as text; None if there is none. ValueError for any other frame."""
        self._check_close()
        if self.payload_size <= 2:
            return None
        return PyUnicode_DecodeUTF8(self.payload_ptr + 2, self.payload_size - 2, NULL)

    def __len__(self):
        return self.payload_size

    def __getbuffer__(self, Py_buffer *view, int flags):
        PyBuffer_FillInfo(view, self, self.payload_ptr, self.payload_size, 1, flags)

    def __str__(self):
        msg_type = self.msg_type
        return (
            f"WSFrame({getattr(msg_type, 'name', msg_type)}, fin={self.fin}, rsv1={self.rsv1}, rsv2={self.rsv2}, "
            f"rsv3={self.rsv3}, last_in_buffer={bool(self.last_in_buffer)}, payload_size={self.payload_size}, "
            f"tail_size={self.tail_size})"
        )

    __repr__ = __str__


cdef WSFrame new_frame(Block block, char *payload, Py_ssize_t payload_size, uint8_t first):
    cdef WSFrame frame = <WSFrame>WSFrame.__new__(WSFrame)
    ws_count_add(block.frames)
    frame._block = block
    frame.payload_ptr = payload
    frame.payload_size = payload_size
    frame.first = first
    return frame


# Nearly every frame is dropped by its callback. So one object serves for all
# frames of a batch that nobody keeps, and for the batches after it.

cdef WSFrame take_frame(LoopState shared, Block block):
    """A frame of `block` for the caller to fill in, as often as it is still ws_only_ours()."""
    cdef WSFrame frame
    if shared.rd_frame is None:
        return new_frame(block, b"", 0, 0)
    frame = <WSFrame>shared.rd_frame
    shared.rd_frame = None
    ws_count_add(block.frames)
    frame._block = block
    return frame


cdef int give_frame(LoopState shared, WSFrame frame) except -1:
    """The caller is done with a frame that it took; it has no other reference to it."""
    if shared.rd_frame is None and ws_only_ours(frame):
        ws_count_sub(frame._block.frames)
        frame._block = None
        frame.payload_ptr = b""
        frame.payload_size = 0
        shared.rd_frame = frame
    return 0

# Cython's view of the C layer in _wire/. Declarations only; the contracts
# stand in the headers. Their paths are seen from include/, the one folder
# that ws_core.get_include() names.

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

cdef extern from "../_wire/header.h" nogil:
    enum:
        WL_OP_CONTINUATION
        WL_OP_TEXT
        WL_OP_BINARY
        WL_OP_CLOSE
        WL_OP_PING
        WL_OP_PONG
        WL_OPCODE_MASK
        WL_OPCODE_CONTROL
        WL_BIT_FIN
        WL_BIT_RSV1
        WL_BIT_RSV2
        WL_BIT_RSV3
        WL_BITS_RSV
        WL_HEADER_MAX
        WL_CONTROL_PAYLOAD_MAX

    size_t wl_header_size(uint64_t payload_size, bint masked)
    size_t wl_header_write(uint8_t *out, uint8_t first, uint64_t payload_size, const uint32_t *mask_key)

cdef extern from "../_wire/mask.h" nogil:
    ctypedef void (*wl_mask_fn)(uint8_t *dst, const uint8_t *src, size_t size, uint32_t key)
    wl_mask_fn wl_mask
    uint32_t wl_mask_rotate(uint32_t key, size_t phase)
    void wl_mask_init()
    const char *wl_mask_name()

cdef extern from "../_wire/ascii.h" nogil:
    const uint8_t *wl_skip_ascii(const uint8_t *p, const uint8_t *end)

cdef extern from "../_wire/entropy.h" nogil:
    ctypedef struct wl_entropy:
        pass
    bint wl_entropy_next(wl_entropy *pool, uint32_t *out)

cdef extern from "../_wire/reader.h" nogil:
    ctypedef enum wl_status:
        WL_FRAME
        WL_NEED_MORE
        WL_ERROR

    ctypedef enum wl_error:
        pass

    ctypedef struct wl_frame:
        uint8_t *payload
        uint64_t payload_size
        uint64_t size
        uint8_t first

    ctypedef struct wl_reader:
        uint64_t max_frame_size
        uint64_t frame_size
        uint8_t allowed_rsv
        uint8_t transformed
        uint8_t error
        bint closed

    void wl_reader_init(wl_reader *reader, bint is_client, bint strict, uint64_t max_frame_size)
    wl_status wl_reader_next(wl_reader *reader, uint8_t *data, size_t size, wl_frame *frame)
    bint wl_close_code_valid(unsigned code)
    uint16_t wl_error_close_code(wl_error error)
    const char *wl_error_text(wl_error error)

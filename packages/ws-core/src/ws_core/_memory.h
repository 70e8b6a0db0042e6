/* Memory to receive into.
 *
 * Large blocks are mapped, so that they go back to the system when they are
 * freed. glibc keeps freed chunks of up to 32 MiB, once it has seen a few:
 * that is what would be left behind by one large frame. Smaller ones are
 * better off in the heap: mapping them anew would fault in every page.
 *
 * Blocks begin with a cache line. The kernel copies what it has received by "rep
 * movsb", and that takes five times as long, on an AMD EPYC, to an address that
 * is one to 31 bytes behind one: 44 us for 100 KiB instead of 9. malloc() gives
 * 16 behind one for everything that it maps.
 *
 * What is mapped grows without being copied, and is made of huge pages where
 * the system has some: 64 MiB are 16,384 page faults otherwise, which cost
 * more than everything else that is done with such a message. */
#ifndef WS_MEMORY_H
#define WS_MEMORY_H

#include <Python.h>
#include <stdint.h>

#if defined(__unix__) || defined(__APPLE__)
#include <sys/mman.h>
#endif

#define WS_MAPPED_FROM ((Py_ssize_t)4 * 1024 * 1024) /* bytes */
#define WS_ALIGNED_FROM 1024                          /* bytes; less is copied as fast to any address */
#define WS_CACHE_LINE 64

static inline void *ws_memory_new_aligned(Py_ssize_t size)
{
    char *whole = PyMem_RawMalloc((size_t)size + sizeof(void *) + WS_CACHE_LINE - 1);
    void **data;
    if (whole == NULL)
        return NULL;
    data = (void **)(((uintptr_t)whole + sizeof(void *) + WS_CACHE_LINE - 1) & ~(uintptr_t)(WS_CACHE_LINE - 1));
    data[-1] = whole;
    return data;
}

static void *ws_memory_new(Py_ssize_t size)
{
#ifdef MAP_ANONYMOUS
    if (size >= WS_MAPPED_FROM) {
        void *data = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (data == MAP_FAILED)
            return NULL;
#ifdef MADV_HUGEPAGE
        madvise(data, (size_t)size, MADV_HUGEPAGE);
#endif
        return data;
    }
#endif
    return size >= WS_ALIGNED_FROM ? ws_memory_new_aligned(size) : PyMem_RawMalloc((size_t)size);
}

static void ws_memory_free(void *data, Py_ssize_t size)
{
#ifdef MAP_ANONYMOUS
    if (data && size >= WS_MAPPED_FROM) {
        munmap(data, (size_t)size);
        return;
    }
#endif
    PyMem_RawFree(data && size >= WS_ALIGNED_FROM ? ((void **)data)[-1] : data);
}

/* The same bytes in more room, perhaps elsewhere; NULL, and nothing has changed, where that would be a copy. */
static void *ws_memory_grow(void *data, Py_ssize_t size, Py_ssize_t more)
{
#ifdef MREMAP_MAYMOVE
    if (size >= WS_MAPPED_FROM) {
        void *moved = mremap(data, (size_t)size, (size_t)more, MREMAP_MAYMOVE);
        return moved == MAP_FAILED ? NULL : moved;
    }
#endif
    (void)data, (void)size, (void)more;
    return NULL;
}

#endif

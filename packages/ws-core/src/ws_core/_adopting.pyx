# How a SocketTransport comes to its descriptor: accept(2) gives one, or a
# client has connected a socket. What it does with it is _socket.pyx.

from cpython.pythread cimport PyThread_get_thread_ident
from libc.errno cimport EAGAIN, ECONNABORTED, EPERM, EPROTO
from libc.string cimport memcpy
from ws_core._socket cimport HIGH_WATER, PEER_SIZE, SocketTransport
from ws_core._sys cimport sockaddr_storage, socklen_t, ws_sys_accept, ws_sys_peer

import asyncio
import os
import socket
import ssl

cdef int _INET = socket.AF_INET
cdef int _INET6 = getattr(socket, "AF_INET6", -1)

# Errors of accept(2) that are of the connection, which has gone already, and not of us (accept(2), "Error handling").
cdef tuple _GONE = (-ECONNABORTED, -EPROTO, -EPERM)


cdef SocketTransport _new_transport(int fd, object loop, const sockaddr_storage *peer, socklen_t peer_size):
    """For a connected socket that does not block; it owns `fd`."""
    cdef SocketTransport transport = <SocketTransport>SocketTransport.__new__(SocketTransport)
    transport.fd = fd
    transport.loop = loop
    transport.thread_id = PyThread_get_thread_ident()
    transport.high = HIGH_WATER
    transport.low = HIGH_WATER // 4
    transport.family = peer.ss_family
    if transport.family == _INET or transport.family == _INET6:
        transport.peer_size = min(<int>peer_size, <int>PEER_SIZE)
        memcpy(transport.peer, peer, transport.peer_size)
    return transport


def drive(sock, loop, protocol):
    """
    Let `protocol` talk over a connected stream socket; returns the transport, which owns the socket from here on.

    OSError: it is not connected (any more). ValueError, TypeError: it is no stream socket, or one of TLS. If it
    raises, the caller closes `sock`.
    """
    cdef sockaddr_storage peer
    cdef socklen_t peer_size
    cdef SocketTransport transport
    cdef int error
    if sock.type != socket.SOCK_STREAM:
        raise ValueError(f"a stream socket was expected, got {sock!r}")
    if isinstance(sock, ssl.SSLSocket):
        raise TypeError("a socket of the ssl module is no plain one: give the socket below it, and a wss:// URL")
    sock.setblocking(False)
    error = ws_sys_peer(sock.fileno(), &peer, &peer_size)
    if error < 0:
        raise OSError(-error, os.strerror(-error))
    transport = _new_transport(sock.fileno(), loop, &peer, peer_size)
    transport.sock = sock
    transport.fd_given = True
    try:
        transport.start(protocol)
    except BaseException:
        transport.abort()
        raise
    return transport


def accept_waiting(listening, loop, protocol_factory, server, int most):
    """
    Accept what waits at a listening socket, at most so many connections, and let each talk to a protocol of its own.
    Whatever is called meanwhile may close `listening`: then that was all.

    `server` has ``attach()`` and ``detach()``, called once each for a connection. An OSError of accept(2) comes out:
    there are no descriptors left, or no memory.
    """
    cdef sockaddr_storage peer
    cdef socklen_t peer_size
    cdef SocketTransport transport
    cdef int fd
    for _ in range(most):
        fd = listening.fileno()
        if fd < 0:
            return
        fd = ws_sys_accept(fd, &peer, &peer_size)
        if fd < 0:
            if fd == -EAGAIN:
                return
            if fd in _GONE:
                continue
            raise OSError(-fd, os.strerror(-fd))
        transport = _new_transport(fd, loop, &peer, peer_size)
        transport.server = server
        server.attach()
        try:
            transport.start(protocol_factory())
        except BaseException as exc:
            if transport.protocol is None:
                transport.protocol = asyncio.Protocol()
            transport.abort()
            if isinstance(exc, (KeyboardInterrupt, SystemExit)):
                raise
            transport.report(exc, "a new connection has no protocol")

"""The measured processes written in Python: one module a library, each with connect() and serve().

``connect(port, mode)`` returns an object with ``async run(count, size, length)``, or None if the library has no such
way of receiving. ``serve()`` returns the port of an echo server. See callbacks.py for the modes.
"""

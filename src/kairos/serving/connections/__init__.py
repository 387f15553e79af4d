"""Connections of the server: HTTP/1.1 and HTTP/2 on one port, and an end to clients that take their time.

``limits`` has the numbers, ``http1`` and ``http2`` speak the protocols, ``keeper`` looks after all connections.
"""

"""Ports of this machine for the servers that tests start.

A port that the kernel has given once (bind() to port 0) it may give somebody else before the
server has it: these are below those that it gives away.  Where a process begins to look
depends on its number, so that two runs at once look in different places.
"""
import itertools
import os
import pathlib
import socket

FIRST = 10000
_numbers = itertools.count(os.getpid() * 61)


def _count():
    """Up to the first of those that the kernel gives away."""
    try:
        given = int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except OSError:
        given = 32768
    return given - FIRST if given > FIRST + 1000 else 20000


def _is_free(port):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return False
    return True


def free_port():
    """One of the loopback's that is free for TCP and for UDP, another one at each call."""
    count = _count()
    return next(port for port in (FIRST + next(_numbers) % count for _ in range(count)) if _is_free(port))

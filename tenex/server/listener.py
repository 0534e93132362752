"""The socket that a server process listens on, bound by us so that a taken port gives a clear sentence."""

from __future__ import annotations

import errno
import os
import socket
import stat
from pathlib import Path

from tenex.errors import TenexError

BACKLOG = 2048


class AddressTaken(TenexError):
    """Somebody else listens there."""

    code = "address_taken"


def listen_tcp(host: str, port: int, *, reuse_port: bool = False) -> socket.socket:
    """A listening TCP socket.

    Args:
        host: an address or a name; an IPv6 address is taken as one.
        port: 0 lets the system choose.
        reuse_port: several processes share the port (SO_REUSEPORT), and the system spreads connections over
            them.

    Raises:
        AddressTaken: the port is in use.
        OSError: the address is not of this machine, or the port may not be used.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise AddressTaken(
                f"Port {port} on {host} is in use. Choose another with PORT=, e.g. PORT={port + 1}."
            ) from error
        raise
    listener.setblocking(False)
    return listener


def listen_unix(path: Path) -> socket.socket:
    """A listening Unix socket; the file of a server that is gone is replaced.

    Raises:
        AddressTaken: a server answers there, or the path is something other than a socket.
    """
    if path.exists():
        if not stat.S_ISSOCK(path.stat().st_mode) or _answers(path):
            raise AddressTaken(f"{path} is in use.")
        path.unlink()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    os.chmod(path, 0o660)
    listener.listen(BACKLOG)
    listener.setblocking(False)
    return listener


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        return probe.connect_ex(str(path)) == 0

"""What crosses a socket, sans I/O: bytes in, values out. Nothing here raises on what a peer sent."""

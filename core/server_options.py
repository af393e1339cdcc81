"""Options of granian for this product.

The demonstration, tests and benchmarks use them; a test compares them with the commands in
docs/how-to/deploy.md.
"""

CONNECTIONS = [
    *("--http", "1"),  # HTTP/2 waits forever for a first byte; a proxy speaks HTTP/1.1 anyway
    # Milliseconds to read the head of a request, counted from the previous response, so this also
    # limits idle connections.
    *("--http1-header-read-timeout", "10000"),
    # Bytes of a request head, and of a response that waits for its client.
    *("--http1-buffer-size", "65536"),
]
ASGI = ["--interface", "asgi", "--no-ws", *CONNECTIONS, "--backlog", "4096"]
ASGI += ["--backpressure", "4096"]
WSGI = ["--interface", "wsgi", "--no-ws", *CONNECTIONS]
"""For a Unix socket: see core/proxy_only.py."""

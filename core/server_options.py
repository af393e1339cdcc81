"""How granian serves this product: the demonstration, the tests, the benchmarks, and the commands
in docs/how-to/deploy.md, which a test compares with these."""

CONNECTIONS = [
    *("--http", "1"),  # HTTP/2 waits for a first byte without end; a proxy speaks HTTP/1.1 anyway
    # Milliseconds for the head of a request, counted from the answer before it: the limit of idle
    # connections too.
    *("--http1-header-read-timeout", "10000"),
    # Bytes of a head, and of an answer that wait for a client.
    *("--http1-buffer-size", "65536"),
]
ASGI = ["--interface", "asgi", "--no-ws", *CONNECTIONS, "--backlog", "4096"]
ASGI += ["--backpressure", "4096"]
WSGI = ["--interface", "wsgi", "--no-ws", *CONNECTIONS]
"""On a Unix socket: see core/proxy_only.py."""

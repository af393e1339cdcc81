"""The operating system's state of connections."""


def queued_for(address: tuple[str, int]) -> int:
    """Bytes buffered for this client, which has not read them."""
    return next((queue for remote, state, queue in connections_here() if remote == address[1]), 0)


def is_established(address: tuple[str, int]) -> bool:
    """Whether the server's end of the client's connection is still established."""
    return any(remote == address[1] and state == "01" for remote, state, _ in connections_here())


def connections_here() -> list[tuple[int, str, int]]:
    """The peer's port, the state, and the unacknowledged bytes of each connection."""
    with open("/proc/net/tcp") as table:
        rows = [line.split() for line in table.readlines()[1:]]
    return [
        (int(remote.split(":")[1], 16), state, int(queues.split(":")[0], 16))
        for _, _, remote, state, queues, *_ in rows
    ]

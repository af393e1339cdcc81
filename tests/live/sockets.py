"""What the system says of connections."""


def queued_for(address: tuple[str, int]) -> int:
    """Bytes that the system keeps for this client, which did not take them."""
    return next((queue for remote, state, queue in connections_here() if remote == address[1]), 0)


def is_established(address: tuple[str, int]) -> bool:
    """Whether the server's side of the client's connection still stands."""
    return any(remote == address[1] and state == "01" for remote, state, _ in connections_here())


def connections_here() -> list[tuple[int, str, int]]:
    """The port of the peer, the state, and the bytes that were sent and not acknowledged."""
    with open("/proc/net/tcp") as table:
        rows = [line.split() for line in table.readlines()[1:]]
    return [
        (int(remote.split(":")[1], 16), state, int(queues.split(":")[0], 16))
        for _, _, remote, state, queues, *_ in rows
    ]

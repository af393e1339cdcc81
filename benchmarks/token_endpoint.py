"""Tokens a second over HTTP: the whole product against django-oauth-toolkit, in one run.

python -m benchmarks.token_endpoint            the table of benchmarks/README.md
python -m benchmarks.token_endpoint --small    does it work at all?
python -m benchmarks.token_endpoint --before COMMIT --only "product;before"    slower than then?
"""

import argparse
import statistics
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from functools import partial

from agentidp.devtools.embedded_postgres import Cluster
from benchmarks import product
from benchmarks.circumstances import measured
from benchmarks.machine import (
    WORK,
    Load,
    new_cluster,
    postmaster,
    prefer,
    wait_for_quiet,
    wait_until_loaded,
    wrk,
)
from benchmarks.real_tokens import check_token
from benchmarks.token_contenders import (
    POSTGRES,
    Contender,
    before,
    django_oauth_toolkit,
    oidc_provider,
    products,
)

MAX_CONNECTIONS = 32


def measure(
    contender: Contender, cluster: Cluster, seconds: int, options: argparse.Namespace
) -> None:
    """A round: a new server, a warm-up in which every client makes a request, then the measured
    run.
    """
    # 32 callers wait long for a server that answers 7 requests a second.
    seconds *= contender.slowness
    clients = WORK / contender.clients
    before = contender.count_rows() if contender.count_rows else 0
    with contender.around(), contender.running(options.port) as process:
        wait_until_loaded([process])
        if contender.keys:
            check_token(
                options.port,
                contender.path,
                contender.keys,
                clients=clients,
                host=product.HOST,
                algorithm=contender.algorithm,
            )
        database = contender.cluster or cluster
        ours = [process] if contender.is_without_database else [process, postmaster(database)]
        url = f"http://127.0.0.1:{options.port}{contender.path}"
        run = partial(wrk, url, clients, host=product.HOST, ours=ours)
        warm_up = run(seconds=min(seconds, 5), is_checked=bool(contender.keys))
        if options.first:
            prefer(ours)
        elif not options.small:
            wait_for_quiet()
        with stopped(cluster) if contender.is_without_database else nullcontext():
            load = run(seconds=seconds, connections=options.connections)
    if warm_up.failed or load.failed:
        sys.exit(f"{contender.name}: not every answer was a token: {warm_up} {load}")
    contender.loads.append(load)
    if contender.count_rows:
        # wrk exits without waiting for its last responses, in either run; one was checked before.
        surplus = contender.count_rows() - before - warm_up.requests - load.requests
        if not 0 <= surplus <= 2 * MAX_CONNECTIONS + 1:
            sys.exit(f"{contender.name}: {-surplus} more answers than rows")


@contextmanager
def stopped(cluster: Cluster) -> Iterator[None]:
    """Stop PostgreSQL during the block."""
    from django.db import connections

    connections.close_all()
    cluster.stop()
    try:
        yield
    finally:
        cluster.start()


def print_table(contenders: list[Contender]) -> None:
    """The result as a Markdown table; oidc-provider is compared with what signs as it does."""
    rates = {contender.name: contender.rate for contender in contenders}
    compared = [name for name in ("product", "before", "DOT default", "DOT best") if name in rates]
    has_oidc = any(name.startswith("oidc-provider") for name in rates)
    heads = [
        "",
        "tokens/s median [min-max]",
        "p50 / p99 ms",
        "CPU ms a token",
        *(f"times {name}" for name in [*compared, *["oidc-provider"] * has_oidc]),
        "other load",
    ]
    print(f"| {' | '.join(heads)} |\n{'|---' * len(heads)}|")
    for contender in contenders:
        loads = contender.loads
        speeds = [load.per_second for load in loads]
        peers = [*compared, *[f"oidc-provider {contender.algorithm}"] * has_oidc]
        cells = [
            contender.name,
            f"{contender.rate:,.0f} [{min(speeds):,.0f}-{max(speeds):,.0f}]",
            f"{median(loads, 'p50'):,.1f} / {median(loads, 'p99'):,.1f}",
            f"{median(loads, 'cpu_ms'):,.2f}",
            *(f"{contender.rate / rates[peer]:,.2f}" if peer in rates else "" for peer in peers),
            f"{median(loads, 'background'):.0%}",
        ]
        print(f"| {' | '.join(cells)} |")


def median(loads: list[Load], name: str) -> float:
    return statistics.median(getattr(load, name) for load in loads)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="one round of seconds, no waiting")
    parser.add_argument(
        "--first", action="store_true", help="while measuring, before all others on the machine"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=8)
    parser.add_argument("--connections", type=int, default=MAX_CONNECTIONS)
    parser.add_argument("--port", type=int, default=3160)
    parser.add_argument("--only", help="names of contenders, with semicolons between")
    parser.add_argument("--before", metavar="COMMIT", help="the product as it was then, in turns")
    options = parser.parse_args()
    rounds, seconds = (1, 2) if options.small else (options.rounds, options.seconds)

    with ExitStack() as stack:
        older = [stack.enter_context(before(options.before))] if options.before else []
        cluster = stack.enter_context(new_cluster("token-endpoint", POSTGRES))
        environment = product.set_up(cluster)
        product.make_clients()
        only = options.only.split(";") if options.only else []
        contenders = [*products(environment), *older]
        for prefix, peers in (
            ("DOT", partial(django_oauth_toolkit, cluster)),
            ("oidc-provider", oidc_provider),
        ):
            if not only or any(name.startswith(prefix) for name in only):
                contenders += peers()
        if unknown := set(only) - {contender.name for contender in contenders}:
            sys.exit(f"There is no {', '.join(sorted(unknown))}.")
        if only:
            contenders = [one for one in contenders if one.name in only]
        for number in range(1, rounds + 1):
            for contender in contenders:
                measure(contender, cluster, seconds, options)
                load = contender.loads[-1]
                print(
                    f"round {number}  {contender.name:<28}{load.per_second:8,.1f}/s"
                    f"  p99 {load.p99:,.0f} ms  CPU {load.cpu_ms:.2f} ms"
                    f"  others {load.background:.0%}",
                    flush=True,
                )
        print()
        print_table(contenders)
        other_loads = [load.background for contender in contenders for load in contender.loads]
        print(measured(rounds, other_loads) + f", {options.connections} connections", flush=True)


if __name__ == "__main__":
    main()

import zoneinfo
from functools import cache


@cache
def known_time_zones() -> frozenset[str]:
    """The IANA names that this machine knows; reading them takes a walk through its files."""
    return frozenset(zoneinfo.available_timezones())

import zoneinfo
from functools import cache


@cache
def known_time_zones() -> frozenset[str]:
    """The IANA names that this machine knows; reading them takes a walk through its files.

    `localtime`, which some machines list, is whatever zone the machine itself is in.
    """
    return frozenset(zoneinfo.available_timezones()) - {"localtime"}

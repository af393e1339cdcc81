import zoneinfo
from functools import cache


@cache
def known_time_zones() -> frozenset[str]:
    """The IANA time zone names that this machine knows.

    Cached, because Python walks through files to find them. `localtime`, which some machines list,
    is left out: it is whatever zone the machine is in.
    """
    return frozenset(zoneinfo.available_timezones()) - {"localtime"}

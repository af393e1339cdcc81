"""The networks that are counted for a caller."""

import pytest

from core.addresses import caller_network, wider_network


@pytest.mark.parametrize(
    ("address", "network", "wider"),
    [
        (None, "", ""),
        ("192.0.2.1", "192.0.2.1", ""),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64", "2001:db8:1::/48"),
        ("2001:db8::1", "2001:db8::/64", "2001:db8::/48"),
    ],
)
def test_networks_of_an_address(address: str | None, network: str, wider: str) -> None:
    assert (caller_network(address), wider_network(address)) == (network, wider)

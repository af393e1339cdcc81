"""Pages show times in the zone of the reader's browser, which a cookie names."""

from collections.abc import Callable

import pytest
from django.test import Client

from organizations.models import Organization
from organizations.tests.factories import make_membership
from pages.decorators import ZONE_COOKIE


@pytest.fixture
def browser(organization: Organization, signed_in: Callable[..., Client]) -> Client:
    organization.time_zone = "Europe/Berlin"
    organization.save(update_fields=["time_zone"])
    return signed_in(make_membership(organization))


@pytest.mark.parametrize(
    ("cookie", "query", "zone"),
    [
        ("", "", "Europe/Berlin"),
        ("Asia/Kathmandu", "", "Asia/Kathmandu"),
        ("Asia/Kathmandu", "?tz=UTC", "UTC"),
        ("Asia/Kathmandu", "?tz=Nowhere", "Asia/Kathmandu"),
        ("../etc/passwd", "", "Europe/Berlin"),
        ("localtime", "", "Europe/Berlin"),
    ],
)
def test_the_zone_of_a_page_is_that_of_its_url_then_the_browsers_then_the_organizations(
    browser: Client, cookie: str, query: str, zone: str
) -> None:
    if cookie:
        browser.cookies[ZONE_COOKIE] = cookie

    pages = [browser.get(f"{path}{query}") for path in ("/", "/tokens", "/executions", "/audit")]

    assert [str(page.context["zone"]) for page in pages] == [zone] * len(pages)


def test_the_overview_offers_the_zones_that_somebody_means(browser: Client) -> None:
    browser.cookies[ZONE_COOKIE] = "Asia/Kathmandu"

    page = browser.get("/?tz=Pacific/Apia")

    (field,) = (each for each in page.context["filters"].fields if each["name"] == "tz")
    zones = [value for value, _ in field["choices"]]
    assert zones == ["UTC", "Asia/Kathmandu", "Europe/Berlin", "Pacific/Apia"]

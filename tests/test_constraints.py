"""When two requests store the same at once, the second gets a clear error."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import IntegrityError, connection, transaction
from django.test import Client, RequestFactory

from agents.tests.factories import make_agent
from core.handlers import exception_handler
from core.middleware import RequestRecordMiddleware
from organizations.models import Organization, Principal
from organizations.tests.factories import make_membership, make_organization
from tokens.tests.factories import access_token_for


@pytest.mark.django_db(transaction=True)
def test_one_address_for_two_agents_at_once() -> None:
    organization = make_organization()
    headers = {"Authorization": f"Bearer {access_token_for(make_membership(organization))}"}
    agents = [make_agent(organization) for _ in range(6)]

    def rename(number: int) -> tuple[int, str]:
        try:
            answer = Client(headers=headers).patch(
                f"/api/v1/agents/{agents[number].pk}",
                {"email": "one@example.com"},
                "application/json",
            )
            return answer.status_code, answer.json().get("code", "")
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        answers = sorted(pool.map(rename, range(6)))

    assert answers == [(200, ""), *[(409, "AGENT_ALREADY_EXISTS")] * 5]


@pytest.fixture
def duplicate(organization: Organization) -> IntegrityError:
    """PostgreSQL's error when the same row is inserted twice."""
    agent = make_agent(organization)
    with pytest.raises(IntegrityError) as raised, transaction.atomic():
        Principal.objects.create(pk=agent.pk, organization=organization)
    return raised.value


def test_a_duplicate_that_no_action_names_is_a_conflict_of_the_api(
    duplicate: IntegrityError,
) -> None:
    answer = exception_handler(duplicate, {})

    assert answer is not None
    assert (answer.status_code, answer.data["code"]) == (409, "CONFLICT")


def test_an_unforeseen_duplicate_is_a_page_with_advice(
    duplicate: IntegrityError,
) -> None:
    request = RequestFactory().get("/members", headers={"Accept": "text/html"})

    answer = RequestRecordMiddleware(lambda request: None).process_exception(  # type: ignore[arg-type,return-value]
        request, duplicate
    )

    assert answer is not None
    assert answer.status_code == 409
    assert "at the same moment" in answer.content.decode()


def test_another_broken_rule_is_not_hidden(organization: Organization) -> None:
    with pytest.raises(IntegrityError) as raised, transaction.atomic():
        Organization.objects.filter(pk=organization.pk).update(status="unheard of")

    assert exception_handler(raised.value, {}) is None

"""An agent's page links to its runs, errors and cost."""

import re
from decimal import Decimal
from typing import Any

from agents.tests.factories import make_agent
from executions.models import now
from executions.tests.factories import FAILED, FINISHED, make_execution, tagged
from organizations.models import Membership, Organization
from organizations.tests.factories import make_membership


def main_of(response: Any) -> str:
    main = re.search(r"<main.*</main>", response.content.decode(), re.DOTALL)
    assert main
    return main[0]


def test_an_agent_leads_to_its_runs_errors_and_cost(
    organization: Organization, signed_in: Any
) -> None:
    agent, other = make_agent(organization), make_agent(organization)
    about = [tagged("meta", now(), summary="Screen applications")]
    own = make_execution(organization, FINISHED, agent=agent, cost=Decimal("1.5"), events=about)
    error = tagged("error", now(), type="ValueError", message="The sheet is empty")
    failed = make_execution(organization, FAILED, agent=agent, cost=Decimal("0.25"), events=[error])
    foreign = make_execution(organization, FAILED, agent=other, cost=Decimal(7))
    browser = signed_in(make_membership(organization, Membership.Role.OPERATOR))

    text = main_of(browser.get(f"/agents/{agent.pk}"))

    assert "2 runs in 30 days, 1 failed (50\N{NO-BREAK SPACE}%)." in text
    assert "$\N{NO-BREAK SPACE}1.75" in text
    assert "only this agent" in text
    assert "Screen applications" in text
    assert f'href="/executions/{own.fid}"' in text
    assert f'href="/executions/{failed.fid}"' in text
    assert foreign.fid not in text
    for page in ("/executions", "/executions/errors"):
        link = re.search(rf'href="({page}\?agent=[^"]+)"', text)
        assert link
        rows = main_of(browser.get(link[1].replace("&amp;", "&")))
        if page == "/executions/errors":  # its group, and the errors of that
            [group] = set(re.findall(r'class="row-link error-text" href="([^"]+)"', rows))
            rows = main_of(browser.get(group.replace("&amp;", "&")))
        assert failed.fid in rows
        assert foreign.fid not in rows
    assert f'href="/agents/{agent.pk}"' in main_of(browser.get(f"/executions/{own.fid}"))


def test_an_agent_without_runs_says_so(organization: Organization, signed_in: Any) -> None:
    agent = make_agent(organization)
    browser = signed_in(make_membership(organization))

    text = main_of(browser.get(f"/agents/{agent.pk}"))

    assert "None in 30 days." in text
    assert "No runs reported yet." in text

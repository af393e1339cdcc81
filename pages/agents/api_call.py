"""The list of agents as a request to /api/v1/agents."""

from agents.models import AgentQuerySet
from organizations.actors import Scope
from pages.api_calls import MAX_LIMIT, ApiCall, paged
from pages.lists import ListFilters, ListPage

PATH = "/api/v1/agents"
NAMES = {"type": "agentType", "status": "status", "environment": "deploymentEnv"}
NEWEST = "-registered"
COLUMNS = "Findings, tokens, runs and cost, which /api/v1/analytics and /api/dashboard return."
ORDER = f"The order and its pages: the API returns the newest agent first, {MAX_LIMIT} at a time."
OWNER = "The owner: the API compares it letter by letter."


def call_of(
    everyone: AgentQuerySet, filters: ListFilters, search: str, sort: str, page: ListPage
) -> ApiCall:
    asked = [(NAMES[name], filters.get(name)) for name in NAMES if filters.get(name)]
    left_out = [COLUMNS]
    if owner := filters.get("owner"):
        spelt = everyone.filter(owner__iexact=owner).order_by("owner").values_list("owner")
        written = [text for (text,) in spelt.distinct()[:2]]
        if len(written) == 1:
            asked.append(("owner", written[0]))
        else:
            left_out.append(OWNER)
    if search:
        asked.append(("search", search))
    if sort == NEWEST:
        asked += paged(page)
    else:
        asked.append(("limit", str(MAX_LIMIT)))
        left_out.append(ORDER)
    return ApiCall(PATH, asked, Scope.AGENTS_READ, left_out=tuple(left_out))

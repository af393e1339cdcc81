"""The parameters of the dashboard's operations for the OpenAPI document."""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema

from core.csv_files import FORMATS
from core.examples import example_response
from core.keyset import MAX_CURSOR_LENGTH, PARAMETER
from core.pagination import CURSOR_DESCRIPTION, MAX_OFFSET
from executions.filters import MAX_HOURS, MAX_VALUES
from executions.models import ErrorState, Execution
from executions.queries import MAX_STATES, NOT_STATE, STATE

STATUS = {"type": "string", "enum": ["", *Execution.Status.values]}


def parameter(name: str, description: str, kind: Any = str, **more: Any) -> OpenApiParameter:
    return OpenApiParameter(name, kind, OpenApiParameter.QUERY, description=description, **more)


def _integer(
    name: str, description: str, default: int | None, maximum: int, minimum: int = 1
) -> OpenApiParameter:
    schema = {"type": "integer", "minimum": minimum, "maximum": maximum}
    return parameter(name, description, schema | ({} if default is None else {"default": default}))


def filter_parameters(hours: int | None) -> tuple[OpenApiParameter, ...]:
    text = {"type": "string", "maxLength": 255}
    return (
        _integer(
            "hours",
            (
                "The length of the window in hours, until now. A large enough number covers all"
                " time."
            ),
            hours,
            MAX_HOURS,
        ),
        parameter(
            "from",
            ("The start of the window, instead of `hours`: Unix seconds, a date, or ISO 8601."),
        ),
        parameter("to", "The end of the window, exclusive. A date includes the whole day."),
        parameter("agent_name", "Part of the agent's name.", text),
        parameter("search", "Part of the id, summary, a tag, agent, user, status or error.", text),
        *_of_several("name", "The full name of an agent.", text),
        *_of_several(
            "user", "The id or name of the person who launched it; `unknown` for none.", text
        ),
        *_of_several("status", "Case does not matter. Empty for all.", STATUS),
        *_of_several("tag", "A whole tag. Case does not matter.", text),
        *_of_several("agent", "The id of an agent.", {"type": "string", "format": "uuid"}),
    )


def state_parameters() -> tuple[OpenApiParameter, ...]:
    values = {
        "type": "array",
        "items": {"type": "string", "enum": ["", *ErrorState.values]},
        "maxItems": MAX_STATES,
    }
    return (
        parameter(
            STATE, "The state of the group. Repeat it to match any of several values.", values
        ),
        parameter(
            NOT_STATE, f"Excludes groups that `{STATE}` would match. May be repeated.", values
        ),
    )


def _of_several(
    name: str, description: str, value: dict[str, Any]
) -> tuple[OpenApiParameter, OpenApiParameter]:
    """The parameter and the one that excludes its values."""
    values = {"type": "array", "items": value, "maxItems": MAX_VALUES}
    return (
        parameter(name, f"{description} Repeat it to match any of several values.", values),
        parameter(
            f"not_{name}",
            f"Excludes executions that `{name}` would match. May be repeated.",
            values,
        ),
    )


def paging_parameters(default: int, maximum: int) -> tuple[OpenApiParameter, ...]:
    return (
        _integer("limit", "The maximum number of rows in the response.", default, maximum),
        _integer("offset", "The number of rows to skip.", 0, MAX_OFFSET, minimum=0),
        parameter(
            PARAMETER,
            CURSOR_DESCRIPTION.format(field="`next_cursor`", instead="offset"),
            {"type": "string", "maxLength": MAX_CURSOR_LENGTH},
        ),
    )


FORMAT = parameter(
    "format", "The response format, as an alternative to the `Accept` header.", enum=list(FORMATS)
)
FID = OpenApiParameter("fid", str, OpenApiParameter.PATH, description="The id of the execution.")


def described(serializer: type, *parameters: OpenApiParameter, csv: str = "") -> Any:
    """Describe an operation; `csv` is an example of its CSV response, if it has one."""
    tables = {(200, "text/csv"): example_response(OpenApiTypes.STR, csv)} if csv else {}
    return extend_schema(
        tags=["Dashboard"],
        parameters=[*parameters, *([FORMAT] if csv else [])],
        responses={(200, "application/json"): serializer, **tables},
    )

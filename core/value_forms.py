"""Formats of request values beyond their type, as partial schemas for the OpenAPI document.

A schema is found by query parameter, or by body and field; `[]` stands for the items of a list. The
product enforces these formats in its own code; generated requests (tests/fuzz) prove that both
agree.
"""

from typing import Any

ORGANIZATION_ID = {"pattern": "^org-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"}
TIME_ZONE = {"format": "iana-time-zone"}
NUMBER = r"(0|[1-9][0-9]*)"
PART = r"(0|[1-9][0-9]*|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*)"
SEMANTIC_VERSION = {
    "pattern": rf"^{NUMBER}\.{NUMBER}\.{NUMBER}(-{PART}(\.{PART})*)?"
    r"(\+[0-9a-zA-Z-]+(\.[0-9a-zA-Z-]+)*)?$"
}
CAPABILITY = {"pattern": "^[a-z0-9][a-z0-9_.-]*:[a-z0-9*][a-z0-9_.*-]*$"}
RUNBOOK_URL = {
    "pattern": r"^(https://([A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?"
    r"([/?#]([A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*)?)?$",
}
SCOPE_NAME = {"pattern": r"^[!#-\[\]-~]+$"}
NOT_IN_NAMES = r"/\\\u0000-\u001f\u007f-\u009f"
FILE_NAME = rf"[^{NOT_IN_NAMES} .~-]([^{NOT_IN_NAMES}]*[^{NOT_IN_NAMES} .])?"
SLUG = {"pattern": "^[a-z0-9-]+$"}
DAY_OR_INSTANT = {"anyOf": [{"format": "date"}, {"format": "date-time"}]}
MOMENT = {
    "anyOf": [
        {"pattern": r"^[0-9]{1,11}(\.[0-9]{1,9})?$"},
        {"format": "date"},
        {"format": "date-time"},
    ]
}
WITHOUT_ZONE = "without a zone is UTC."
"""Ends the description of every value that takes a time. Responses always have a zone."""
PEOPLE, AGENTS = ["owner", "admin", "operator", "viewer"], ["admin", "member"]

PARAMETERS: dict[str, dict[str, Any]] = {
    "tz": TIME_ZONE,
    "month": {"pattern": "^[0-9]{4}-(0[1-9]|1[0-2])$"},
    "fromDate": DAY_OR_INSTANT,
    "toDate": DAY_OR_INSTANT,
    "from": MOMENT,
    "to": MOMENT,
    "action": {"pattern": r"^[a-z_]+(\.[a-z_]+)+$", "maxLength": 64},
    "search": {"maxLength": 128},
    "tag": {"maxLength": 64},
    "owner": {"maxLength": 128},
}
FIELDS: dict[str, dict[str, Any]] = {
    "AgentRequest.version": SEMANTIC_VERSION,
    "AgentRequest.capabilities[]": CAPABILITY,
    "AgentRequest.runbookUrl": RUNBOOK_URL,
    "PatchedAgentChangeRequest.version": SEMANTIC_VERSION,
    "PatchedAgentChangeRequest.capabilities[]": CAPABILITY,
    "PatchedAgentChangeRequest.runbookUrl": RUNBOOK_URL,
    "OrganizationRequest.slug": SLUG,
    "OrganizationRequest.timeZone": TIME_ZONE,
    "PatchedOrganizationChangeRequest.slug": SLUG,
    "PatchedOrganizationChangeRequest.timeZone": TIME_ZONE,
    "KeyLogInRequest.redirect": {"pattern": r"^/(?!/)[!-\[\]-~]*$"},
    "LogInRequest.organizationId": ORGANIZATION_ID,
    "SwitchRequest.organizationId": ORGANIZATION_ID,
    "PatchedChangeRequest.costUsd": {"pattern": r"^[0-9]{1,10}(\.[0-9]{1,8})?$"},
    "PatchedCredentialChangeRequest": {"required": ["name"]},
    "PatchedRoleRequest": {"required": ["role"]},
    "PatchedRoleRequest.role": {"enum": sorted({*PEOPLE, *AGENTS})},
    "NewMemberRequest": {
        "oneOf": [
            {
                "required": ["agentId"],
                "not": {"required": ["email"]},
                "properties": {"role": {"enum": AGENTS}},
            },
            {
                "required": ["email"],
                "not": {"required": ["agentId"]},
                "properties": {"role": {"enum": PEOPLE}},
            },
        ]
    },
    "NewMemberRequest.role": {"enum": sorted({*PEOPLE, *AGENTS})},
    "NewUploadRequest.path": {"pattern": rf"^{FILE_NAME}(/{FILE_NAME})*$"},
    "ResourceRequest.identifier": {"format": "uri"},
    "ResourceScopeRequest.name": SCOPE_NAME,
    "GrantedScopesRequest.scopes[]": SCOPE_NAME,
    # RFC 6749 section 3.2: unknown parameters are ignored, repeated ones are an error.
    "TokenFormRequest": {"additionalProperties": {"type": "string"}},
    "BatchRequest.events": {"minItems": 1, "maxItems": 1000},
}


def describe_values(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """Add the formats to the document (drf-spectacular hook).

    Raise KeyError for a format without a value in the document.
    """
    unused = set(PARAMETERS)
    for operations in result["paths"].values():
        for operation in operations.values():
            for parameter in operation.get("parameters", ()):
                is_one = parameter["in"] == "query" and parameter["schema"].get("type") != "array"
                if is_one and parameter["name"] in PARAMETERS:
                    parameter["schema"] = PARAMETERS[parameter["name"]] | parameter["schema"]
                    unused.discard(parameter["name"])
    if unused:
        raise KeyError(f"No operation has the parameters {sorted(unused)}.")
    for place, form in FIELDS.items():
        name, _, field = place.partition(".")
        schema = result["components"]["schemas"][name]
        if field:
            schema = schema["properties"][field.removesuffix("[]")]
        schema = schema["items"] if field.endswith("[]") else schema
        if form.keys() & {"format", "enum"}:
            schema.pop("pattern", None)
        schema.update(form)
    for operations in result["paths"].values():
        for operation in operations.values():
            require_body(operation, result["components"]["schemas"])
            for parameter in operation.get("parameters", ()):
                say_zone(parameter["schema"], parameter)
    for name, schema in result["components"]["schemas"].items():
        if name.endswith("Request"):
            for field in schema.get("properties", {}).values():
                say_zone(field, field)
    return result


def say_zone(schema: dict[str, Any], described: dict[str, Any]) -> None:
    """If the value may be a time, document that a time without a zone is UTC."""
    formats = {each.get("format") for each in (schema, *schema.get("anyOf", ()))}
    if "date-time" in formats:
        before = described.get("description", "")
        subject = "A day, or a time" if "date" in formats else "A time"
        described["description"] = f"{before} {subject} {WITHOUT_ZONE}".strip()


def require_body(operation: dict[str, Any], schemas: dict[str, Any]) -> None:
    """Mark a body with a required field as required, which drf-spectacular omits for PATCH."""
    body = operation.get("requestBody", {})
    schema = body.get("content", {}).get("application/json", {}).get("schema", {})
    if schemas.get(schema.get("$ref", "").rpartition("/")[2], schema).get("required"):
        body["required"] = True

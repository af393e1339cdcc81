"""Ready programs and settings with which an agent gets its first token and reports its first run.

Only settings contain the secret: commands and programs ask for it or read it from the environment,
so that it stays out of shell histories, lists of processes and source code.
"""

import json
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from django.conf import settings
from django.db.models import QuerySet

from agents.models import Agent
from organizations.actors import Scope
from tokens.models import ResourceGrant

MAX_RESOURCES = 5
"""So many, and AgentIdP itself, have a style in snippets.css."""
API = "AgentIdP itself"
FIRST_RUN = {"summary": "My first run"}
FIRST_RESULT = {"status": "finished", "final": {"Markdown": {"body": "It **works**."}}}
LANGUAGES = (
    ("curl", "curl"),
    ("python", "Python"),
    ("node", "Node.js"),
    ("env", ".env"),
    ("kubernetes", "Kubernetes"),
)


@dataclass(frozen=True)
class Snippet:
    language: str
    text: str
    note: str = ""


@dataclass(frozen=True)
class Target:
    """What a token is for, with the snippets that get it."""

    number: int
    name: str
    snippets: Sequence[Snippet]


@dataclass(frozen=True)
class Access:
    """What an agent asks for; without a resource, a token for AgentIdP's API."""

    client_id: str
    name: str
    scopes: Sequence[str]
    resource: str = ""

    @classmethod
    def of(cls, agent: Agent, grant: ResourceGrant | None = None) -> "Access":
        if grant is None:
            return cls(str(agent.pk), agent.name, agent.scopes)
        return cls(str(agent.pk), agent.name, grant.scopes, grant.resource.identifier)

    @property
    def form(self) -> dict[str, str]:
        given = {"scope": " ".join(self.scopes), "resource": self.resource}
        asked = {name: value for name, value in given.items() if value}
        return {"grant_type": "client_credentials", **asked}


def targets_of(agent: Agent, secret: str) -> list[Target]:
    """AgentIdP's API, if the agent has scopes there, and resources that it may call."""
    grants = grants_of(agent).select_related("resource").order_by("resource__name", "pk")
    found = [(grant.resource.name, Access.of(agent, grant)) for grant in grants[:MAX_RESOURCES]]
    if agent.scopes or not found:
        found.insert(0, (API, Access.of(agent)))
    return [
        Target(number, name, snippets_for(access, secret))
        for number, (name, access) in enumerate(found)
    ]


def grants_of(agent: Agent) -> QuerySet[ResourceGrant]:
    return ResourceGrant.objects.for_organization(agent.organization).filter(agent=agent)


def may_report(agent: Agent) -> bool:
    return Scope.EXECUTIONS_WRITE in agent.scopes


def token_url() -> str:
    return f"{settings.ISSUER}/api/v1/token"


def executions_url() -> str:
    return f"{settings.ISSUER}/api/v1/executions"


def snippets_for(access: Access, secret: str) -> list[Snippet]:
    """How to get a token, in the order of LANGUAGES."""
    return [
        Snippet("curl", curl(access), "Asks for the secret, so that your shell does not keep it."),
        Snippet("python", python(access), "Needs no package. Reads CLIENT_SECRET, or asks for it."),
        Snippet(
            "node",
            node(access),
            "Needs no package. Run it with “node --env-file=.env agent.mjs”; the tab .env has the "
            "file.",
        ),
        Snippet("env", env(access, secret), "Contains the secret: keep it out of version control."),
        Snippet(
            "kubernetes",
            kubernetes(access, secret),
            "Contains the secret. Apply it with “kubectl apply -f -”, then press Ctrl-D.",
        ),
    ]


def run_snippets() -> list[Snippet]:
    """How to report a first run with the token that the snippet before has got."""
    return [
        Snippet("curl", curl_run(), "In the same shell."),
        Snippet("python", python_run(), "At the end of the same program."),
        Snippet("node", node_run(), "At the end of the same program."),
    ]


def curl(access: Access) -> str:
    """The command. It is one, so that none of its pasted lines is read as the secret."""
    form = "".join(
        f"  --data-urlencode {shlex.quote(f'{name}={value}')} \\\n"
        for name, value in access.form.items()
    )
    return (
        "printf 'Client secret: ' && read -rs CLIENT_SECRET && echo &&\n"
        f'ANSWER=$(printf \'user = "%s:%s"\' {access.client_id} "$CLIENT_SECRET" |\n'
        f"  curl -sS -K - \\\n{form}  {shlex.quote(token_url())}) &&\n"
        'echo "$ANSWER"; unset CLIENT_SECRET'
    )


def curl_run() -> str:
    url = executions_url()
    headers = (
        "-H \"Authorization: Bearer $TOKEN\" \\\n  -H 'Content-Type: application/json' \\\n  -d"
    )
    return (
        f'TOKEN=$(echo "$ANSWER" | {_value_of("access_token")}) &&\n'
        f"RUN=$(curl -sS {shlex.quote(url)} {headers} {shlex.quote(json.dumps(FIRST_RUN))} |\n"
        f"  {_value_of('executionId')}) &&\n"
        f"curl -sS -w '\\n' \"{url}/$RUN/finish\" {headers} "
        f"{shlex.quote(json.dumps(FIRST_RESULT))}"
    )


def _value_of(name: str) -> str:
    return rf"""sed 's/.*"{name}": *"\([^"]*\)".*/\1/'"""


def python(access: Access) -> str:
    form = "".join(
        f"    {_quoted(name)}: {_quoted(value)},\n" for name, value in access.form.items()
    )
    return (
        "import base64, getpass, json, os, urllib.parse, urllib.request\n"
        "\n"
        f"CLIENT_ID = {_quoted(access.client_id)}\n"
        'CLIENT_SECRET = os.environ.get("CLIENT_SECRET") or getpass.getpass("Client secret: ")\n'
        "\n"
        f"form = {{\n{form}}}\n"
        'basic = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()\n'
        "request = urllib.request.Request(\n"
        f"    {_quoted(token_url())},\n"
        "    data=urllib.parse.urlencode(form).encode(),\n"
        '    headers={"Authorization": f"Basic {basic}"},\n'
        ")\n"
        "with urllib.request.urlopen(request) as response:\n"
        "    token = json.load(response)\n"
        'print("Token for", token["scope"], "valid for", token["expires_in"], "seconds")'
    )


def python_run() -> str:
    url = executions_url()
    return (
        "def post(url, body):\n"
        "    headers = {\n"
        '        "Authorization": f"Bearer {token[\'access_token\']}",\n'
        '        "Content-Type": "application/json",\n'
        "    }\n"
        "    request = urllib.request.Request(url, json.dumps(body).encode(), headers)\n"
        "    with urllib.request.urlopen(request) as response:\n"
        "        return json.load(response)\n"
        "\n"
        "\n"
        f"run = post({_quoted(url)}, {json.dumps(FIRST_RUN)})\n"
        f"post(f\"{url}/{{run['executionId']}}/finish\", {json.dumps(FIRST_RESULT)})\n"
        'print("Reported run", run["executionId"])'
    )


def node(access: Access) -> str:
    form = "".join(f"    {name}: {_quoted(value)},\n" for name, value in access.form.items())
    return (
        f"const clientId = {_quoted(access.client_id)};\n"
        "const clientSecret = process.env.CLIENT_SECRET;\n"
        "\n"
        'const basic = Buffer.from(`${clientId}:${clientSecret}`).toString("base64");\n'
        f"const response = await fetch({_quoted(token_url())}, {{\n"
        '  method: "POST",\n'
        "  headers: { Authorization: `Basic ${basic}` },\n"
        f"  body: new URLSearchParams({{\n{form}  }}),\n"
        "});\n"
        "if (!response.ok) throw new Error(await response.text());\n"
        "const token = await response.json();\n"
        "console.log(`Token for ${token.scope} valid for ${token.expires_in} seconds`);"
    )


def node_run() -> str:
    url = executions_url()
    return (
        "async function post(url, body) {\n"
        "  const response = await fetch(url, {\n"
        '    method: "POST",\n'
        "    headers: {\n"
        "      Authorization: `Bearer ${token.access_token}`,\n"
        '      "Content-Type": "application/json",\n'
        "    },\n"
        "    body: JSON.stringify(body),\n"
        "  });\n"
        "  if (!response.ok) throw new Error(await response.text());\n"
        "  return response.json();\n"
        "}\n"
        "\n"
        f"const run = await post({_quoted(url)}, {json.dumps(FIRST_RUN)});\n"
        f"await post(`{url}/${{run.executionId}}/finish`, {json.dumps(FIRST_RESULT)});\n"
        "console.log(`Reported run ${run.executionId}`);"
    )


def settings_of(access: Access, secret: str) -> dict[str, str]:
    """What a program needs to know, by the names of environment variables."""
    known = {
        "CLIENT_ID": access.client_id,
        "CLIENT_SECRET": secret,
        "TOKEN_URL": token_url(),
        "SCOPE": " ".join(access.scopes),
        "RESOURCE": access.resource,
    }
    return {name: value for name, value in known.items() if value}


def env(access: Access, secret: str) -> str:
    values = settings_of(access, secret).items()
    return "\n".join(f"{name}={shlex.quote(value)}" for name, value in values)


def kubernetes(access: Access, secret: str) -> str:
    values = settings_of(access, secret).items()
    return "\n".join(
        [
            "apiVersion: v1",
            "kind: Secret",
            "metadata:",
            f"  name: {secret_name(access.name)}",
            "type: Opaque",
            "stringData:",
            *(f"  {name}: {_quoted(value)}" for name, value in values),
        ]
    )


def secret_name(agent_name: str) -> str:
    """A name as Kubernetes allows it (RFC 1123)."""
    plain = re.sub(r"[^a-z0-9]+", "-", agent_name.lower()).strip("-")[:48].strip("-")
    return f"{plain or 'agent'}-agentidp"


def _quoted(text: str) -> str:
    """A string literal of Python, JavaScript and YAML."""
    return json.dumps(text)

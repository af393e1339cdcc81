"""The runs of the demonstration's agents: inputs, texts, results and failures. Text in braces is
filled in from the inputs and at random.
"""

from dataclasses import dataclass

from agents.models import Agent


@dataclass(frozen=True)
class Failure:
    """A way for a run to fail, with a traceback as an engine would write it."""

    error: str
    """The exception's qualified name and its message."""
    frames: tuple[tuple[str, int, str, str], ...]
    """File, line, function and source line of each frame, outermost first."""

    def trace(self, message: str) -> str:
        lines = ["Traceback (most recent call last):"]
        for file, line, function, text in self.frames:
            lines += [f'  File "{file}", line {line}, in {function}', f"    {text}"]
        return "\n".join([*lines, message])


@dataclass(frozen=True)
class Script:
    """A kind of run."""

    summary: str
    description: str
    tags: tuple[str, ...]
    subjects: tuple[str, ...]
    """Possible subjects of a run: `{subject}`."""
    step: str
    """The message for each of `{count}` pieces; `{number}` counts them."""
    result: str
    """The result in Markdown."""
    failures: tuple[Failure, ...]
    seconds: tuple[int, int]
    """The minimum and maximum duration of a run."""
    tokens: tuple[int, int] = (0, 0)
    """The minimum and maximum input tokens for each piece; about a ninth of them are output
    tokens.
    """
    file: str = ""
    """The name of the file that it produces, if any."""
    asks: str = ""
    """The question to a person, where a run sometimes waits for an answer."""


SITE = "/opt/agents/lib/python3.12/site-packages"
MODEL = Failure(
    "modelgate.errors.RateLimited: 429 from the model gateway after 5 attempts "
    "(request req_{hex}, retry after {number} s)",
    (
        ("/opt/agents/{agent}/main.py", 88, "run", "answer = model.complete(prompt)"),
        (f"{SITE}/modelgate/client.py", 311, "complete", "return self._with_retries(request)"),
        (f"{SITE}/modelgate/client.py", 274, "_with_retries", "raise RateLimited.of(response)"),
    ),
)
TIMEOUT = Failure(
    "httpx.ReadTimeout: The read operation timed out",
    (
        ("/opt/agents/{agent}/main.py", 41, "run", "page = fetch(source)"),
        ("/opt/agents/{agent}/sources.py", 27, "fetch", "response = client.get(url)"),
        (f"{SITE}/httpx/_client.py", 1053, "get", "return self.request("),
        (f"{SITE}/httpx/_transports/default.py", 118, "map_httpcore_exceptions", "raise mapped"),
    ),
)

SCRIPTS: dict[str, Script] = {
    Agent.Type.SCREENER: Script(
        summary="Screen applications",
        description="Reads new applications and says who fits, and why.",
        tags=("hiring", "screening"),
        subjects=("Backend engineer", "Data analyst", "Nurse coordinator", "Site manager"),
        step="Application {number} of {count}: scored {score}",
        result="## {subject}\n\n**{kept} of {count}** applications fit.\n\n"
        "| rank | score |\n| --- | --- |\n| 1 | {score} |\n| 2 | 0.81 |\n| 3 | 0.77 |\n",
        failures=(
            Failure(
                "KeyError: 'cv_text'",
                (
                    ("/opt/agents/{agent}/main.py", 61, "run", "score(application)"),
                    (
                        "/opt/agents/{agent}/scoring.py",
                        19,
                        "score",
                        "text = application['cv_text']",
                    ),
                ),
            ),
            MODEL,
        ),
        seconds=(20, 140),
        tokens=(900, 2600),
        asks="Two applications are equally good. Which one goes on?",
    ),
    Agent.Type.CLASSIFIER: Script(
        summary="Label what came in",
        description="Sorts messages by topic and urgency.",
        tags=("triage",),
        subjects=("support inbox", "returns", "press", "billing questions"),
        step="Message {number}: {score} sure",
        result="Labelled **{count}** messages of the {subject}; {kept} were urgent.\n",
        failures=(
            MODEL,
            Failure(
                "ticketing.errors.Conflict: Ticket {number} was changed by another agent at "
                "2026-11-19T08:14:02Z",
                (
                    ("/opt/agents/{agent}/main.py", 73, "run", "ticket.label(topic)"),
                    ("/opt/agents/{agent}/tickets.py", 45, "label", "self._put(version)"),
                    (f"{SITE}/ticketing/api.py", 207, "_put", "raise Conflict(ticket)"),
                ),
            ),
        ),
        seconds=(4, 45),
        tokens=(150, 700),
    ),
    Agent.Type.SUMMARIZER: Script(
        summary="Summarize reports",
        description="One page of what many pages say.",
        tags=("research", "weekly"),
        subjects=("Market week 46", "Trial protocols", "Board papers", "Competitor news"),
        step="Read section {number} of {count}",
        result="## {subject}\n\n- Demand grew by {kept} percent.\n- Two sources contradict each "
        "other on delivery times.\n- Nothing needs a decision this week.\n",
        failures=(
            TIMEOUT,
            Failure(
                "kodosumi.error.KodosumiError: The source “{subject}” has no text that could be "
                "summarized.",
                (
                    ("/opt/agents/{agent}/main.py", 52, "run", "outline = outline_of(pages)"),
                    ("/opt/agents/{agent}/outline.py", 12, "outline_of", "raise KodosumiError("),
                ),
            ),
        ),
        seconds=(40, 420),
        tokens=(3000, 9000),
        file="summary.md",
        asks="The summary names a customer. May it be sent?",
    ),
    Agent.Type.EXTRACTOR: Script(
        summary="Extract figures",
        description="From documents to rows that add up.",
        tags=("documents", "ledger"),
        subjects=("Invoices of Harbour & Sons", "Claims of November", "Contracts 2024", "Figures"),
        step="Document {number} of {count}: total {score}",
        result="**{count}** documents read, **{kept}** rows booked.\n",
        failures=(
            Failure(
                "pydantic_core._pydantic_core.ValidationError: 1 validation error for Document\n"
                "total\n  Input should be greater than 0 [type=greater_than, "
                "input_value=-{number}.5, input_type=float]",
                (
                    ("/opt/agents/{agent}/main.py", 66, "run", "row = Document(**found)"),
                    (f"{SITE}/pydantic/main.py", 253, "__init__", "validated = self.__pydantic_v"),
                ),
            ),
            Failure(
                "psycopg.errors.QueryCanceled: canceling statement due to statement timeout",
                (
                    ("/opt/agents/{agent}/main.py", 94, "run", "ledger.book(rows)"),
                    ("/opt/agents/{agent}/ledger.py", 33, "book", "cursor.executemany(BOOK, rows)"),
                    (f"{SITE}/psycopg/cursor.py", 129, "executemany", "raise ex.with_traceback("),
                ),
            ),
        ),
        seconds=(10, 180),
        tokens=(1200, 4000),
        file="rows.csv",
    ),
    Agent.Type.MONITOR: Script(
        summary="Check what should be up",
        description="Looks at every service and sensor once.",
        tags=("operations",),
        subjects=("eu-central", "us-east", "cold storage", "laboratory 2"),
        step="Check {number} of {count} is fine",
        result="All **{count}** checks of {subject} are fine.\n",
        failures=(
            TIMEOUT,
            Failure(
                "ConnectionRefusedError: [Errno 111] Connection refused: ('10.4.{number}.7', 9100)",
                (
                    ("/opt/agents/{agent}/main.py", 30, "run", "probe(target)"),
                    ("/opt/agents/{agent}/probes.py", 58, "probe", "socket.connect(address)"),
                ),
            ),
        ),
        seconds=(2, 15),
    ),
    Agent.Type.ROUTER: Script(
        summary="Route documents",
        description="Decides which agent reads what.",
        tags=("platform",),
        subjects=("morning batch", "scanner 3", "partner uploads", "mail attachments"),
        step="Document {number}: queue {score}",
        result="**{count}** documents routed, {kept} to a person.\n",
        failures=(MODEL,),
        seconds=(3, 30),
        tokens=(80, 300),
    ),
    Agent.Type.ORCHESTRATOR: Script(
        summary="Plan and start runs",
        description="Puts the night's work in an order that fits the machines.",
        tags=("operations", "planning"),
        subjects=("night plan", "backlog", "instrument time", "re-runs"),
        step="Slot {number} of {count} is filled",
        result="## {subject}\n\n{count} runs planned, {kept} moved to tomorrow.\n",
        failures=(
            Failure(
                "planner.errors.NoCapacity: {number} runs need a machine with 64 GB, there are 2",
                (
                    ("/opt/agents/{agent}/main.py", 47, "run", "plan = planner.solve(jobs)"),
                    ("/opt/agents/{agent}/planner.py", 120, "solve", "raise NoCapacity(jobs)"),
                ),
            ),
        ),
        seconds=(30, 300),
        tokens=(1500, 3000),
        file="plan.json",
    ),
    Agent.Type.CUSTOM: Script(
        summary="Bring records together",
        description="Compares two systems and writes what is missing.",
        tags=("sync",),
        subjects=("contacts", "quotes", "grants", "tables of week 46"),
        step="Record {number} of {count}",
        result="**{kept}** of {count} records of {subject} were changed.\n",
        failures=(
            TIMEOUT,
            Failure(
                "ValueError: time data '31/11/2026' does not match format '%d/%m/%Y'",
                (
                    ("/opt/agents/{agent}/main.py", 58, "run", "record = normalize(row)"),
                    ("/opt/agents/{agent}/records.py", 22, "normalize", "datetime.strptime(text,"),
                ),
            ),
        ),
        seconds=(8, 90),
        tokens=(60, 400),
    ),
}

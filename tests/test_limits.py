"""The numbers in docs/reference/limits.md, all, and in other pages, many, are those of the code."""

import re
from datetime import timedelta
from itertools import pairwise
from pkgutil import resolve_name
from string import Formatter
from typing import Any

import pytest
from django.conf import settings

from agentidp.env import BASE_DIR
from core import throttling
from core.days import DAY
from core.server_options import CONNECTIONS
from executions.queries.listing import MAX_TEXT_LENGTH
from executions.quotas import ENDING_BYTES, ERROR_BYTES
from organizations.models import Organization
from panel.dashboard import MAX_BYTES
from tokens.models.session import MAX_SESSION


def page(name: str) -> str:
    return " ".join((BASE_DIR / "docs" / name).read_text().split())


PAGE = page("reference/limits.md")
WORDS = {1: "one", 2: "two", 3: "three", 4: "four", 5: "five", 6: "six", 7: "seven", 20: "twenty"}
WINDOWS = {
    timedelta(minutes=1): "a minute",
    timedelta(minutes=10): "in ten minutes",
    timedelta(hours=1): "an hour",
    timedelta(days=1): "a day",
}
UNITS = {1024**3: "GiB", 1024**2: "MiB", 1024: "KiB"}


class Written(Formatter):
    """Fields are dotted names of constants; a format says how the page writes them."""

    def get_field(self, field_name: str, args: Any, kwargs: Any) -> Any:
        return resolve_name(field_name), field_name

    def format_field(self, value: Any, format_spec: str) -> str:
        if isinstance(value, timedelta):
            return str(value // timedelta(**{format_spec: 1})) if format_spec else WINDOWS[value]
        if format_spec == "bytes":
            unit = next(each for each in UNITS if value % each == 0)
            return f"{value // unit:,} {UNITS[unit]}"
        if format_spec.lower() == "word":
            word = WORDS[int(value)]
            return word.capitalize() if format_spec == "Word" else word
        if format_spec.startswith("/"):
            return WORDS[round(value / float(format_spec[1:]))]
        return f"{value:g}" if isinstance(value, float) else f"{value:,}"


SENTENCES = """
{core.throttling.LOGIN_FAILURES.limit} failures {core.throttling.LOGIN_FAILURES.window} for one \
client from one address, {core.throttling.ADDRESS_FAILURES.limit} from one address, \
{core.throttling.WIDER_FAILURES.limit} from an IPv6 /{core.addresses.WIDER_NETWORK_BITS};
{core.throttling.LOGIN_FAILURES.limit} failures {core.throttling.LOGIN_FAILURES.window} for one \
name from one address, {core.throttling.ADDRESS_FAILURES.limit} from one address, \
{core.throttling.WIDER_FAILURES.limit} from an IPv6 /{core.addresses.WIDER_NETWORK_BITS};
{tokens.oauth.introspection.INACTIVE_RESPONSES.limit} inactive results \
{tokens.oauth.introspection.INACTIVE_RESPONSES.window} for one caller
an IPv6 network (/{core.addresses.NETWORK_BITS})
{core.password_hashers.MAX_WAITERS:Word} more requests wait for up to \
{core.password_hashers.MAX_WAIT:word} seconds
during the last {organizations.people.known_browsers.MAX_AGE:days} days
fail at most {core.throttling.WIDER_FAILURES.limit} times a minute together
{core.throttling.SIGN_INS_OF.limit} {core.throttling.SIGN_INS_OF.window} for one account, and \
{core.throttling.SIGN_INS_FROM.limit} from one address
| {tokens.actions.existing_tokens.RECORDED_INTROSPECTIONS.limit} \
{tokens.actions.existing_tokens.RECORDED_INTROSPECTIONS.window} for one caller | counted
| {core.throttling.RECORDED_FAILURES.limit} {core.throttling.RECORDED_FAILURES.window} | left out
newest {analytics.requests.rows.MAX_ROWS} events of its window
ranks at most {analytics.requests.breakdown.MAX_VALUES} values a list, and an answer has \
{analytics.serializers.ANSWERED_VALUES} of them
folds the newest {analytics.requests.folds.MAX_FOLDED} into lines
newest {analytics.agent_usage.NEWEST} token events of {analytics.agent_usage.NEWEST_DAYS} days, \
for who carried the last {analytics.agent_usage.HOURS} hours
| {core.throttling.SIGN_INS_OF.limit} {core.throttling.SIGN_INS_OF.window} for one account; \
sessions end after
| {core.throttling.REFRESHES.limit} {core.throttling.REFRESHES.window} for one login session, \
each until it expires ({django.conf.settings.REFRESH_TOKEN_LIFETIME:hours} hours)
| switches to another organization | a member | {core.throttling.ENTRIES.limit} \
{core.throttling.ENTRIES.window} |
the newest {organizations.api.idempotency.MAX_KEYS_PER_CALLER} of one caller
| {organizations.audit.recorded_changes.OF_ORGANIZATION.limit} \
{organizations.audit.recorded_changes.OF_ORGANIZATION.window} for an organization, \
{organizations.audit.recorded_changes.OF_ACTOR.limit} \
{organizations.audit.recorded_changes.OF_ACTOR.window} for one caller
| {executions.error_groups.MAX_GROUPS} for an organization; new kinds
a note of {executions.models.resolution.MAX_NOTE} characters
| {core.throttling.RESETS_FROM.limit} {core.throttling.RESETS_FROM.window} from one address, \
{core.throttling.WIDER_RESETS_FROM.limit} from an IPv6 /{core.addresses.WIDER_NETWORK_BITS}; \
{core.throttling.RESET_MAILS.limit:word} mails {core.throttling.RESET_MAILS.window} to one account
{organizations.actions.invitations.OF_INVITER.limit} \
{organizations.actions.invitations.OF_INVITER.window} for one inviter; \
{organizations.actions.invitations.IN_HOUR.limit} \
{organizations.actions.invitations.IN_HOUR.window} and \
{organizations.actions.invitations.IN_DAY.limit} \
{organizations.actions.invitations.IN_DAY.window} for an organization
{organizations.actions.invitations.TO_ADDRESS.limit:word} mails \
{organizations.actions.invitations.TO_ADDRESS.window} from one organization
{core.throttling.ADDRESS_CHANGES.limit:word} {core.throttling.ADDRESS_CHANGES.window} for one person
{core.throttling.INVITATIONS_TO.limit} {core.throttling.INVITATIONS_TO.window} of each
{core.throttling.CHANGES_TO.limit} {core.throttling.CHANGES_TO.window} of each
[invitations](#mail), {organizations.actions.invitations.IN_DAY.limit} \
{organizations.actions.invitations.IN_DAY.window} for an organization
| {organizations.audit.log.VERIFICATIONS.limit} {organizations.audit.log.VERIFICATIONS.window} \
for an organization, {organizations.audit.log.MAX_VERIFIED} events each
| exporting the audit log | {organizations.audit.log.EXPORTS.limit} \
{organizations.audit.log.EXPORTS.window} for one caller
| switching to another organization | {core.throttling.ENTRIES.limit} \
{core.throttling.ENTRIES.window} for one person
{organizations.time_quotas.SEARCHES_OF_CALLER.limit:/1000} seconds of database time \
{organizations.time_quotas.SEARCHES_OF_CALLER.window} for one caller, \
{organizations.time_quotas.SEARCHES_IN_ORGANIZATION.limit:/1000} for an organization
{django.conf.settings.EXECUTIONS_PER_MINUTE} a minute for an organization
| executions | {django.conf.settings.MAX_EXECUTIONS} (
each counted with {executions.quotas.EVENT_BYTES} more, an error with \
{executions.quotas.ERROR_BYTES} | {django.conf.settings.MAX_EVENT_BYTES:bytes} (
each counted with {executions.quotas.FILE_BYTES} more, from the announcement on | \
{django.conf.settings.MAX_FILE_BYTES:bytes} (
| {django.conf.settings.EXECUTION_FILES_MAX_NUMBER} (`AGENTIDP_EXECUTION_FILES_MAX_NUMBER`), \
{django.conf.settings.EXECUTION_FILES_MAX_BYTES:bytes} together \
(`AGENTIDP_EXECUTION_FILES_MAX_BYTES`), {django.conf.settings.EXECUTION_FILE_MAX_BYTES:bytes} each
beyond {executions.actions.removal.EVENTS_AT_ONCE} in one request
removed after {executions.retention.UPLOADS_LAST.days:word} days
| live credentials of an agent | {tokens.actions.credentials.MAX_CREDENTIALS} |
| {tokens.actions.credentials.MAX_OLD_SECRETS}, for at most \
{tokens.actions.credentials.MAX_GRACE.days:word} days
| {tokens.resources.MAX_RESOURCES}, with {tokens.resources.MAX_SCOPES} scopes each
shared views of an organization | {organizations.actions.saved_views.MAX_OWN} each, with names of \
{organizations.models.saved_view.MAX_NAME} characters and queries of \
{organizations.models.saved_view.MAX_QUERY} |
shared views of an organization | {organizations.actions.saved_views.MAX_SHARED} each
| {analytics.actions.MAX_SNOOZES}, with reasons of {analytics.models.snooze.MAX_REASON} \
characters, for at most {analytics.actions.MAX_DAYS} days
| {organizations.actions.organizations.MAX_FOUNDED}; a deleted one counts for \
{organizations.actions.organizations.COUNTED_AFTER_DELETION:days} more days
| {django.conf.settings.STREAMS_PER_CALLER} (
| {django.conf.settings.STREAMS_PER_ORGANIZATION} (
| {live.attendance.MAX_STREAMS}, or twice
| {core.fast_path.pieces.MAX_LONG_RESPONSES}; {core.fast_path.pieces.MAX_ANONYMOUS_LONG_RESPONSES} |
| {core.fast_path.asgi_bridge.LONG_RESPONSE_THREADS:word}; \
{core.fast_path.asgi_bridge.LONG_THREADS_PER_CALLER:word} for
else after {executions.bucket_deadlines.MAX_WAIT_SECONDS} seconds
{live.render_turns.BUDGET} seconds in every {live.render_turns.INTERVAL}, and \
{executions.sanitizing.SECONDS} second for a batch
have run for {organizations.tenancy.thread_slots.SLOW_REQUEST_SECONDS:word} seconds
{organizations.tenancy.thread_slots.MAX_WAIT_SECONDS} seconds | 503; nothing was done
| body | {django.conf.settings.MAX_BODY_BYTES:bytes}; a form of a page or of the OAuth endpoints \
{django.conf.settings.MAX_FORM_BYTES:bytes}; what may be sent without a token (signing in, \
refreshing, a new password, accepting an invitation) {django.conf.settings.MAX_FORM_BYTES:bytes}
beyond the first {core.bodies.SMALL:bytes} of each | {core.bodies.MAX_BYTES:bytes}
| {core.content_types.MAX_CONTENT_TYPE_LENGTH} characters; no encoding
| {django.conf.settings.MAX_PATH_BYTES:bytes} each
| {django.conf.settings.MAX_QUERY_BYTES:bytes} each
| {django.conf.settings.DATA_UPLOAD_MAX_NUMBER_FIELDS}; of the OAuth endpoints \
{tokens.oauth.client_authentication.MAX_PARAMETERS} |
nesting | {core.parsers.MAX_DEPTH} levels
all levels together | {core.parsers.MAX_VALUES} |
names of one object | {core.parsers.MAX_NAMES} |
digits of a number | {core.parsers.MAX_DIGITS} |
events of a batch | {executions.api.event_batches.MAX_EVENTS} |
open locks of an execution | {executions.event_log.MAX_LOCKS} |
| {executions.described.MAX_META_LENGTH} characters, {executions.described.MAX_META_VALUES} values \
| the beginning of its texts, and {executions.described.MAX_TAGS} tags
| {executions.queries.tally.MAX_VALUES} with the most of each
agents named in a group of errors | {executions.queries.error_counts.MAX_NAMES} |
in the list of the pages | {executions.described.MAX_TAGS} |
in `/timeline` | {panel.timeline_items.MAX_INPUTS_LENGTH:bytes} |
of `/api/dashboard` | {panel.dashboard.MAX_LIST_BYTES:bytes} |
with an execution's events | {panel.dashboard.MAX_BYTES:bytes} |
of `/timeline` | {panel.timeline_items.MAX_CHANGES}, or about \
{panel.timeline_items.MAX_BYTES:bytes} |
| {executions.queries.listing.MAX_TEXT_LENGTH} characters each,
the same in bytes | {panel.dashboard.MAX_BYTES:bytes} together
on indented lines | {executions.json_text.MAX_GROWTH:word} times its length and \
{executions.json_text.MAX_SMALL_GROWTH} characters
is referred to | {executions.markdown.MAX_GROWTH:word} times its length and \
{executions.markdown.MAX_SMALL_GROWTH} characters
places for cells | {executions.table_grids.MAX_GROWTH} times their cells and \
{executions.table_grids.MAX_SMALL_GROWTH} |
in texts of a run | {executions.long_words.MAX_MARKS} |
words have no spaces | {executions.long_words.MAX_JOINED} |
together as HTML | {pages.executions.log_lines.MAX_BYTES:bytes} | \
{pages.executions.log_lines.CUT_LENGTH} characters of each line |
steps of a run | {pages.executions.step_bars.MAX_BARS} on a page
| {executions.sanitizing.MAX_BYTES:bytes}, {executions.markdown.MAX_LINES} lines, \
{executions.markdown.MAX_MARKS} marks, {executions.markdown.MAX_CELLS} table cells
of a page | {executions.sanitizing.SECONDS:word} second of processor time; \
{pages.executions.detail.PAGE_RENDER_SECONDS:word} |
| {core.errors.MAX_PROBLEMS} entries a level, {core.errors.MAX_PROBLEMS_IN_ALL} in all
texts of an error | {core.errors.MAX_TEXT} characters each
on an ASGI server | {django.conf.settings.READER_TIMEOUT_SECONDS} seconds (
the body of a request, on an ASGI server | {core.fast_path.asgi_bridge.BODY_TIMEOUT_SECONDS} seconds
(`extended=true`) | {django.conf.settings.WAIT_FOR_JOB_SECONDS} seconds (
""".strip().splitlines()


ON_OTHER_PAGES = """
reference/lists.md: exceed {core.pagination.MAX_LINK_LENGTH} characters
reference/lists.md: `page` from 1 to {core.pagination.MAX_PAGE},
reference/lists.md: each at most {executions.filters.MAX_VALUES} times
reference/lists.md: `GET /api/dashboard/running-agents` | start of the run, latest first | \
{panel.dashboard.MAX_ROWS}, which is the maximum |
reference/lists.md: | {panel.dashboard.DEFAULT_ERRORS}, at most {panel.dashboard.MAX_ROWS} |
reference/lists.md: errors that were known at the first one | {panel.dashboard.MAX_GROUPS}, which \
is the maximum |
reference/lists.md: time of the event, then its number | {panel.dashboard.MAX_PARTS}, which is \
the maximum |
reference/lists.md: (at most {panel.files.MAX_FILES} files)
reference/errors.md: up to {organizations.api.idempotency.MAX_LENGTH} printable ASCII
reference/errors.md: again for {tokens.sessions.REFRESH_GRACE:seconds} seconds
reference/audit.md: A value above {organizations.audit.recorded_changes.MAX_VALUE:bytes} is
reference/audit.md: up to {core.throttling.RECORDED_FAILURES.limit:word} a minute
reference/operator-metrics.md: heartbeat in the last {core.database_metrics.WORKER_IS_LOST_AFTER} \
seconds; a process
reference/operator-metrics.md: at most every {core.database_metrics.CHECK_INTERVAL_SECONDS:word} \
seconds per process
reference/operator-metrics.md: worker looks every {agentidp.management.commands.worker.REAP_EVERY} \
seconds
how-to/deploy.md: may take {executions.bucket_deadlines.REQUEST_SECONDS} seconds, and longer only \
while it takes at least {executions.bucket_deadlines.MIN_PACE:bytes}
how-to/follow-an-execution.md: nothing new for {live.hub.HEARTBEAT} seconds
how-to/follow-an-execution.md: above {live.reading.MAX_MESSAGE_BYTES:bytes}
how-to/import-kodosumi.md: and {importers.kodosumi.hostile.MAX_JSON_BYTES:bytes} of a JSON message
how-to/import-kodosumi.md: above {importers.kodosumi.importer.MAX_FILE_BYTES:bytes} are left out
how-to/look-into-a-failed-run.md: one of the {pages.executions.comparison.LOOKED_AT} before it
how-to/look-into-a-finding.md: newest {analytics.requests.rows.MAX_ROWS} requests
how-to/look-into-a-finding.md: at most {analytics.actions.MAX_DAYS} days
how-to/people.md: for {organizations.actions.invitations.LIFETIME.days:word} days, and
how-to/report-executions.md: parts of at most {django.conf.settings.MAX_BODY_BYTES:bytes}
how-to/rotate-server-secrets.md: wait {organizations.actions.invitations.LIFETIME.days:word} days
how-to/use-the-pages.md: valid for {django.conf.settings.PERSON_TOKEN_LIFETIME:minutes} minutes
""".strip().splitlines()


def configured(name: str, pattern: str) -> int:
    """The number that the pattern finds in a file of deploy/ or in the settings."""
    (found,) = set(re.findall(pattern, (BASE_DIR / name).read_text()))
    return int(found)


def composed() -> list[str]:
    """Sentences with numbers that are products, or stand in configurations and models."""
    recorded = throttling.RECORDED_FAILURES.limit * throttling.BUCKETS
    counters = 3 * throttling.NEW_COUNTERS.limit * throttling.ROOMS
    (password,) = (
        each["OPTIONS"]["min_length"]
        for each in settings.AUTH_PASSWORD_VALIDATORS
        if "MinimumLength" in each["NAME"]
    )
    ((_, head),) = [
        pair for pair in pairwise(CONNECTIONS) if pair[0] == "--http1-header-read-timeout"
    ]
    connections = configured("deploy/nginx-main.conf", r"limit_conn agentidp_networks (\d+);")
    wider = configured("deploy/nginx-main.conf", r"limit_conn agentidp_wider_networks (\d+);")
    at_once = configured("deploy/nginx.conf", r"limit_conn agentidp_callers (\d+);")
    wider_at_once = configured("deploy/nginx.conf", r"limit_conn agentidp_wider_callers (\d+);")
    tls = configured("deploy/nginx-main.conf", r"preread_timeout (\d+)s;")
    request = configured("deploy/nginx.conf", r"client_header_timeout (\d+)s;")
    lock = configured("agentidp/settings.py", r"lock_timeout=(\d+)s")
    field = Organization._meta.get_field
    assert (wider, wider_at_once) == (4 * connections, 4 * at_once)
    return [
        f"{counters:,} an hour, of which one IPv4 address or IPv6 /48 fills a {throttling.ROOMS}th",
        f"| {recorded} a minute of people, and as many of clients",
        f"{MAX_SESSION // DAY} days or {settings.SESSION_COOKIE_AGE // 3600} hours |",
        f"up to {(ENDING_BYTES - ERROR_BYTES) // 1024} KiB of result or error need no room",
        f"agents of an organization | {field('max_agents').default:,}, unless",
        f"calendar month (UTC) | {field('max_tokens_per_month').default:,}, unless",
        f"has at most {connections:,} connections, counted before TLS, and {at_once:,} requests",
        f"{tls} seconds for TLS, and {request} for the head of a request",
        f"head of a request, on an ASGI server | {int(head) // 1000} seconds",
        f"of a request | {settings.STATEMENT_TIMEOUT[:-1]} seconds (`AGENTIDP_STATEMENT_TIMEOUT`)",
        f"waiting for a database lock | {lock} seconds",
        f"fewer if `limit` is above {MAX_BYTES // MAX_TEXT_LENGTH} |",
        f"A new password has at least {password} characters",
    ]


EXCUSED = (
    r"\b(?:4\d\d|50[03])\b",  # of responses
    r"IPv[46]( /48)?|\(/64\)|/64 network",
    r"SHA-256|RFC 8265|UTF-8|/api/v1/",
    "takes a core and 100 MB",
    "12 KiB: longer|200 bytes each|(?:122|256) random bits",
)
"""Numbers that are no limits, or that were measured."""


def test_every_number_is_the_one_that_the_code_has() -> None:
    written = [*(Written().format(each) for each in SENTENCES), *composed()]

    assert [each for each in written if each not in PAGE] == []
    rest = PAGE
    for each in sorted(written, key=len, reverse=True):
        rest = rest.replace(each, " ")
    for pattern in EXCUSED:
        rest = re.sub(pattern, " ", rest)
    assert re.findall(r"[^|]{0,40}\d[^|]{0,20}", rest) == []


@pytest.mark.parametrize("line", ON_OTHER_PAGES)
def test_other_pages_name_the_numbers_that_the_code_has(line: str) -> None:
    """Each sentence begins with a word: 6 MiB are within 16 MiB."""
    name, _, sentence = line.partition(": ")

    assert not sentence.startswith("{")
    assert Written().format(sentence) in page(name)

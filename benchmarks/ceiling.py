"""The product's server without its database work: what everything else on the path could give.

Only for the benchmark's row "no database": the first answer that a process gets is every client's.
"""

from typing import Any

from agentidp.wsgi import unguarded_application
from tokens.actions import issue
from tokens.issue_sql import Issue

application = unguarded_application
answers: list[Issue] = []
ask_database = issue.call_issue


def remembered(*arguments: Any) -> Issue:
    if not answers:
        answers.append(ask_database(*arguments))
    return answers[0]


issue.call_issue = remembered

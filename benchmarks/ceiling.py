"""The product's server without its database: the ceiling set by everything else on the path.

Only for the benchmark's row "no database", which stops PostgreSQL while it measures: a process
answers every client with its first response, and keeps the keys that it has loaded.
"""

from agentidp.wsgi import unguarded_application
from tokens import issue_batches, keys
from tokens.issue_sql import Issue, Question

application = unguarded_application
answers: list[Issue] = []
ask_database = issue_batches.issue


def remembered(question: Question) -> Issue:
    if not answers:
        answers.append(ask_database(question))
    return answers[0]


issue_batches.issue = remembered
keys.RELOAD_AFTER_SECONDS = 24 * 3600.0

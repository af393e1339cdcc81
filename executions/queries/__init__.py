from executions.queries.listing import *  # noqa: F403

from executions.actions.reporting import *  # noqa: F403

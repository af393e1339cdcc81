from executions.models.execution import *  # noqa: F403

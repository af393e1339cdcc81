from executions.runner.jobs import *  # noqa: F403

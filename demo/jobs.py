"""Sample executions that keep the demonstration alive: a few a minute, run by a worker."""

import random
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.utils import timezone
from procrastinate.contrib.django import app

from agents.models import Agent
from demo import run_plans, seed
from demo.companies import COMPANIES, Company
from demo.scripts import SCRIPTS
from executions.models import Execution, ExecutionUser
from executions.runner import Tracer, job, launch
from organizations.actors import Actor
from organizations.models import Organization
from organizations.tenancy.scope import organization_scope

SAMPLE = "demo.sample"
LAUNCHED = (2, 4)
"""The minimum and maximum number launched for each organization in a minute."""
AT_ONCE = 4
"""The maximum number running at a time, so that a slow machine does not fall behind."""


class SampleError(RuntimeError):
    """The error with which a sample occasionally fails."""


@job(SAMPLE)
def sample(tracer: Tracer) -> Any:
    """A job that resembles an agent's work; `inputs` give its kind, number of pieces and
    seconds.
    """
    script = SCRIPTS[tracer.inputs["kind"]]
    pieces, seconds = int(tracer.inputs["pieces"]), float(tracer.inputs["seconds"])
    chance = random.Random(str(tracer.execution_id))  # noqa: S311 - a demonstration
    words = {
        "subject": str(tracer.inputs["subject"]),
        "count": str(pieces),
        "kept": str(chance.randint(1, pieces)),
        "score": f"{chance.uniform(0.5, 0.99):.2f}",
    }
    for number in range(1, pieces + 1):
        tracer.wait(seconds / pieces)
        tracer.stdout(run_plans.filled(script.step, words | {"number": str(number)}))
        tokens = number * script.tokens[1]
        if tokens:
            cost = Decimal(tokens) * Decimal("0.0000006")
            tracer.usage(input_tokens=tokens, output_tokens=tokens // 9, cost=cost)
        if number == pieces // 2:
            tracer.result({"Text": {"body": f"{number} of {pieces} so far."}})
            if chance.random() < float(tracer.inputs.get("failing", 0)):
                raise SampleError(f"The source closed the connection after piece {number}.")
    return {"Markdown": {"body": run_plans.filled(script.result, words)}}


@app.periodic(cron="* * * * *")
@app.task(name="demo.tick", queue="maintenance", queueing_lock="demo.tick")
def tick(timestamp: int) -> None:
    """Every minute: report the agents' recent runs and launch new samples."""
    chance = random.Random(timestamp)  # noqa: S311 - a demonstration
    for company in COMPANIES:
        organization = Organization.objects.filter(slug=company.slug).first()
        if organization is None:
            continue
        with organization_scope(organization):
            seed.bring_executions_up_to(timezone.now(), company, organization)
            launch_samples(company, organization, chance)


def begin() -> None:
    """Launch samples at the start of the demonstration without waiting for the next minute.

    An earlier start may have run in this minute already. Executions that it left running are not
    counted.
    """
    chance = random.Random()  # noqa: S311 - a demonstration
    for company in COMPANIES:
        organization = Organization.objects.get(slug=company.slug)
        with organization_scope(organization):
            launch_samples(company, organization, chance, least=1)


@transaction.atomic
def launch_samples(
    company: Company, organization: Organization, chance: random.Random, *, least: int = 0
) -> None:
    """Launch a few samples by agents of the organization for its people."""
    live = Execution.objects.for_organization(organization).live()
    room = AT_ONCE - live.filter(source=Execution.Source.WORKER).count()
    agents = list(Agent.objects.for_organization(organization).active().order_by("id"))
    users = list(ExecutionUser.objects.for_organization(organization).exclude(user=None))
    for _ in range(max(least, min(room, chance.randint(*LAUNCHED)))):
        agent = chance.choice(agents)
        script = SCRIPTS[agent.agent_type]
        launch(
            SAMPLE,
            actor=Actor.for_system(organization, "demo"),
            agent=agent,
            user=chance.choice(users),
            inputs={
                "kind": agent.agent_type,
                "subject": chance.choice(script.subjects),
                "pieces": chance.randint(4, 16),
                "seconds": chance.randint(15, 80),
                "failing": 0.1,
            },
            description={
                "summary": script.summary,
                "description": script.description,
                "tags": list(script.tags),
            },
        )

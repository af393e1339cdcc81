"""The failures of the demonstration are grouped as a person would group them."""

import random
from collections import defaultdict

from demo.companies import COMPANIES
from demo.run_plans import filled, words_of
from demo.scripts import SCRIPTS
from executions.errors import read_error


def test_each_way_to_fail_is_one_group_across_its_agents() -> None:
    groups = defaultdict(set)
    agents = defaultdict(set)
    for company in COMPANIES:
        for part in company.parts:
            script = SCRIPTS[part.agent_type]
            for seed in range(40):
                words = words_of(script, part, random.Random(seed))  # noqa: S311
                for failure in script.failures:
                    text = filled(failure.trace(filled(failure.error, words)), words)
                    groups[failure.error].add(read_error(text).fingerprint())
                    agents[failure.error].add(part.name)

    assert {failure: len(found) for failure, found in groups.items()} == dict.fromkeys(groups, 1)
    assert len(set.union(*groups.values())) == len(groups)
    assert max(map(len, agents.values())) > 1

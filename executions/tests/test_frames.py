"""The frame of an agent's own code in a traceback."""

import pytest

from executions.frames import OwnFrame, own_frame

OWN = '  File "/opt/agents/router/route.py", line 142, in choose\n    raise Limited(reply)\n'
UNDERLINED = OWN + "    ^^^^^^^^^^^^^^^^^^^^\n"
LIBRARY = '  File "/opt/venv/lib/python3.12/site-packages/gate.py", line 9, in ask\n    again()\n'
OUTER = '  File "/opt/agents/router/main.py", line 7, in <module>\n    choose()\n'
START = "Traceback (most recent call last):\n"
END = "gate.Limited: 429\n"
ROUTE = ("/opt/agents/router/route.py", 142, "choose", "raise Limited(reply)")


@pytest.mark.parametrize(
    ("trace", "frame"),
    [
        (START + OUTER + OWN + END, OwnFrame(*ROUTE, 2, 2)),
        (START + OUTER + UNDERLINED + LIBRARY + END, OwnFrame(*ROUTE, 2, 3)),
        (START + LIBRARY + END, None),
        (END, None),
        ("", None),
        # The code is missing: what follows is the exception, or only a mark.
        (START + OWN.splitlines()[0] + "\n" + END, OwnFrame(*ROUTE[:3], "", 1, 1)),
        (START + OWN.splitlines()[0] + "\n    ^^^^\n" + END, OwnFrame(*ROUTE[:3], "", 1, 1)),
        # In an exception group everything is indented and framed.
        (
            START + OWN.replace("  ", "  |   ", 1).replace("\n    ", "\n  |     "),
            OwnFrame(*ROUTE, 1, 1),
        ),
    ],
)
def test_the_innermost_own_frame_is_found(trace: str, frame: OwnFrame | None) -> None:
    assert own_frame(trace) == frame

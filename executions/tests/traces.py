"""Errors as engines of several languages report them, with the word "s3cret" where everyone must
not see it.
"""

import json
from textwrap import indent

FRAME = '  File "/opt/s3cret/x.py", line 3, in f\n    password="s3cret"\n'
BEGIN = "Traceback (most recent call last):\n"
BOOM = "ValueError: boom"
GROUP = """  + Exception Group Traceback (most recent call last):
  |   File "/opt/s3cret/x.py", line 3
  | ExceptionGroup: unhandled errors (1 sub-exception)
  +-+---------------- 1 ----------------
    | Traceback (most recent call last):
    |   File "/opt/s3cret/y.py", line 4, in g
    |     s3cret()
    | ValueError: inner
    +------------------------------------
"""
JAVASCRIPT = "TypeError: x is undefined\n    at f (/opt/s3cret/x.js:1:2)\n    at /opt/s3cret/y.js:3"
JAVA = (
    "java.lang.IllegalStateException: boom\n\tat com.s3cret.Foo.bar(Foo.java:12)\n"
    "Caused by: java.io.IOException: s3cret\n\tat com.s3cret.Foo.baz(Foo.java:1)"
)
GO = "panic: boom\n\ngoroutine 1 [running]:\nmain.main()\n\t/opt/s3cret/main.go:5 +0x1d"
IN_ONE_LINE = (BEGIN + FRAME + BOOM).replace("\n", "\\n")
TRACES: dict[str, tuple[str, str]] = {
    "Python": (BEGIN + FRAME + BOOM, BOOM),
    "Python, long": (BEGIN + FRAME * 300 + BOOM, BOOM),
    "Python, lower case": (BEGIN + FRAME + "my.module.error: boom", "error: boom"),
    "Python, chained": (
        BEGIN + FRAME + "ValueError: other\n\nDuring handling of the above exception, another "
        "exception occurred:\n\n" + BEGIN + FRAME + "KeyError: 1",
        "KeyError: 1",
    ),
    "Python, group": (GROUP, "ExceptionGroup: unhandled errors (1 sub-exception)"),
    "Python, indented": (indent(BEGIN + FRAME + BOOM, "    "), BOOM),
    "Python, behind a prefix": ("ERROR 12:00 " + BEGIN + FRAME + BOOM, BOOM),
    "Python, with a note": (BEGIN + FRAME + BOOM + "\ns3cret: note", BOOM),
    "Python, without end": (BEGIN + FRAME * 2, ""),
    "Python, in one line": (IN_ONE_LINE, ""),
    "Python, as a value": (repr(BEGIN + FRAME + BOOM), ""),
    "JavaScript": (JAVASCRIPT, "TypeError: x is undefined"),
    "Java": (JAVA, "IllegalStateException: boom"),
    "Go": (GO, "panic: boom"),
    "JSON": (json.dumps({"code": 7, "s3cret": 1}), ""),
    "JSON with a trace": (json.dumps({"error": {"type": "ValueError", "trace": FRAME}}), ""),
    "JSON with a traceback as message": (json.dumps({"message": BEGIN + FRAME + BOOM}), BOOM),
    "JSON in JSON": (json.dumps({"message": json.dumps({"s3cret": FRAME})}), ""),
    "JSON list": (json.dumps([{"s3cret": FRAME}]), ""),
    "JSON, cut off": (json.dumps({"message": "s3cret"})[:-1], ""),
}
"""Text, and what everyone sees of it; empty where that is the fixed sentence."""
END_IS_KNOWN = ("Python", "Python, long", "Python, chained", "Python, indented")
"""Those that can be recognized by their last line."""

"""The output of executions becomes readable and is never dangerous."""

import json
import re
import tracemalloc
from collections.abc import Callable
from html import unescape
from html.parser import HTMLParser
from time import thread_time
from typing import Any

import pytest
import structlog
from django.utils.safestring import SafeString
from hypothesis import given
from hypothesis import strategies as st

from core.tests.profiling import calls
from executions.rendering import LAYOUTS, inputs_as_yaml, render_event, render_result
from executions.sanitizing import (
    ATTRIBUTES,
    CUT,
    MAX_BYTES,
    SECONDS,
    TAGS,
    TOO_COMPLEX,
    limited_time,
)
from executions.tests.vectors import VECTORS

FIELDS = st.sampled_from(
    [
        *("agent", "alt", "body", "description", "name", "output", "raw", "result", "tasks_output"),
        *("text", "thought", "title", "token_usage", "tool", "tool_input", "url", "__list__"),
        *LAYOUTS,
    ]
)
"""What layouts read."""
LITTLE, BOUNDED, TOO_MUCH_WORK = "little", "bounded", "too much"


def tagged(tag: str, value: Any) -> str:
    return json.dumps({tag: value})


def body(tag: str, text: str) -> str:
    return tagged(tag, {"body": text})


class Elements(HTMLParser):
    """Collect every start tag of a piece of HTML with its attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


@pytest.mark.parametrize("tag", ["Markdown", "HTML", "Text", "str", "TaskOutput"])
@pytest.mark.parametrize("name", VECTORS)
def test_no_attack_leaves_more_than_harmless_elements(tag: str, name: str) -> None:
    value = {"body": VECTORS[name], "raw": VECTORS[name], "name": VECTORS[name]}

    html = render_result(tagged(tag, value))

    for element, attributes in Elements(html).found:
        assert element in TAGS
        assert attributes.keys() <= ATTRIBUTES.get(element, set()) | {"rel"}
        assert re.match("https://|mailto:|$", attributes.get("href") or "")


def test_markdown_becomes_html() -> None:
    text = "# Report\n\n| a | b |\n| - | -: |\n| **x** | ~~y~~ |\n\none\ntwo\n\n```py\n1 < 2\n```"

    html = render_result(body("Markdown", text))

    assert "<h1>Report</h1>" in html
    assert "<td><strong>x</strong></td>" in html
    assert "<s>y</s>" in html
    assert "one<br>\ntwo" in html
    assert "<pre><code>1 &lt; 2\n</code></pre>" in html


def test_indented_markdown_is_no_code() -> None:
    assert render_result(body("Markdown", "    # Title\n    text")).startswith("<h1>Title</h1>")


def test_links_open_without_telling_where_from() -> None:
    html = render_result(body("Markdown", "[x](https://example.com) ![alt](https://a.example/b)"))

    assert html.count('rel="noopener noreferrer nofollow"') == 2
    assert '<a href="https://a.example/b" rel="noopener noreferrer nofollow">alt</a>' in html
    assert "<img" not in html


def test_html_keeps_its_harmless_part() -> None:
    html = render_result(body("HTML", "<h2>Heading</h2><table><tr><td>1</td></tr></table>"))

    assert "<h2>Heading</h2>" in html
    assert "<td>1</td>" in html


def test_text_stays_as_it_is() -> None:
    html = render_result(body("Text", 'plain\n\t<not a tag> & "quotes"'))

    assert html == "<pre>plain\n\t&lt;not a tag&gt; &amp; &quot;quotes&quot;</pre>"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"int": 42}, "<h3>int</h3>\n<pre>42</pre>"),
        ({"str": "<x>"}, "<h3>str</h3>\n<pre>&lt;x&gt;</pre>"),
        ({"TypeError": "None"}, "<h3>TypeError</h3>\n<pre>None</pre>"),
        ({"<b>": True}, "<h3>&lt;b&gt;</h3>\n<pre>true</pre>"),
        ({"Answer": {"ß": None}}, "<h3>Answer</h3>\n<pre>{\n  &quot;ß&quot;: null\n}</pre>"),
        (
            {"__list__": [{"int": 1}, {"__list__": [{"Text": {"body": "x"}}]}]},
            "<h3>int</h3>\n<pre>1</pre>\n<pre>x</pre>",
        ),
        ({"Text": 7}, "<h3>Text</h3>\n<pre>7</pre>"),
        ({"Markdown": {}}, "<p>null</p>\n"),
        ({"a": 1, "b": 2}, "<pre>{\n  &quot;a&quot;: 1,\n  &quot;b&quot;: 2\n}</pre>"),
        ([], "<pre>[]</pre>"),
        (None, "<pre>null</pre>"),
    ],
)
def test_every_value_is_shown_by_its_tag(value: Any, expected: str) -> None:
    assert render_result(json.dumps(value)) == expected


@pytest.mark.parametrize("tag", ["Link", "Image", "Video"])
def test_links_images_and_videos_become_links(tag: str) -> None:
    html = render_result(tagged(tag, {"url": "https://example.com/a.png"}))

    assert '<a href="https://example.com/a.png"' in html
    assert ">https://example.com/a.png</a>" in html


def test_a_crew_shows_its_answer_and_the_output_of_each_task() -> None:
    task = {"description": "Collect", "name": "find", "agent": "Researcher", "raw": "**three**"}

    html = render_result(tagged("CrewOutput", {"raw": "The *text*", "tasks_output": [task]}))

    assert html.index("<p>The <em>text</em></p>") < html.index("<h3>find</h3>")
    assert "<dt>Agent</dt><dd>Researcher</dd><dt>Task</dt><dd>Collect</dd>" in html
    assert "<strong>three</strong>" in html


def test_an_agent_step_shows_what_it_thought_and_did() -> None:
    step = {"thought": "I should", "tool": "Search", "tool_input": {"q": 1}, "text": ""}

    html = render_event("action", tagged("AgentAction", step))

    assert "<dt>Thought</dt><dd>I should</dd><dt>Tool</dt><dd>Search</dd>" in html
    assert "Text" not in html


def test_there_may_be_no_result() -> None:
    assert render_result(None) == ""


def test_invalid_json_is_shown_as_text() -> None:
    assert render_result('{"Text": <x>') == "<pre>{&quot;Text&quot;: &lt;x&gt;</pre>"


def test_inputs_become_yaml() -> None:
    html = render_event("inputs", tagged("dict", {"text": "Grüße 🚀", "n": [1, None], "on": True}))

    assert html == "text: Grüße 🚀\nn:\n- 1\n- null\non: true\n".replace("on:", "&#x27;on&#x27;:")


@pytest.mark.parametrize("number", [100, 2_500])
@pytest.mark.parametrize("kind", ["result", "inputs"])
@pytest.mark.parametrize("tag", ["dict", "Text", "ToolResult"])
def test_deep_values_are_not_indented_to_many_times_their_length(
    number: int, kind: str, tag: str
) -> None:
    """Each of them would have 120 spaces before it."""
    deep = "[" * 58 + ",".join("1" * number) + "]" * 58
    fields = {"dict": "a", "Text": "body", "ToolResult": "output"}
    message = f'{{"{tag}": {{"{fields[tag]}": {deep}}}}}'

    html = render_event(kind, message)

    assert re.sub("[^1]", "", html).count("1") == number
    assert len(html) < 5 * len(message) + 2_000


def test_the_words_of_a_deep_text_are_not_indented_each() -> None:
    message = '{"a":' * 60 + f'"{"a " * 2_000}"' + "}" * 60

    html = render_event("inputs", message)

    assert unescape(html) == message


@pytest.mark.parametrize("value", [[1, 2], {"a": [{"b": 1, "c": [{}, None]}] * 99}, ["x" * 50] * 9])
def test_ordinary_values_are_indented(value: Any) -> None:
    html = render_result(tagged("dict", value))

    assert unescape(html).endswith(f"<pre>{json.dumps(value, indent=2)}</pre>")


def test_text_loses_terminal_control_sequences() -> None:
    message = (
        "\x1b[1;31mred\x1b[0m \x1b]8;;https://x\x07link\x1b]8;;\x07 10 %\r100 %\r\n\x00\x07\x9b"
    )

    assert render_event("stdout", message) == "red link 10 %\n100 %\n\ufffd\ufffd\ufffd"


@pytest.mark.parametrize("kind", ["stdout", "stderr", "debug", "error", "status", "meta", "new"])
def test_text_is_escaped(kind: str) -> None:
    assert render_event(kind, "<script>&") == "&lt;script&gt;&amp;"


@pytest.mark.parametrize("kind", ["stdout", "error", "lock", "inputs"])
def test_a_line_of_ten_million_characters_is_cut(kind: str) -> None:
    assert render_event(kind, "x" * 10_000_000) == "x" * MAX_BYTES + CUT


@pytest.mark.parametrize("kind", ["stdout", "debug", "result", "inputs"])
def test_binary_output_is_shown_harmlessly(kind: str) -> None:
    noise = bytes(range(256)).decode("latin-1") * 100

    html = render_event(kind, noise)

    html.encode("utf-8")
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", html)
    assert "<script" not in html


@pytest.mark.parametrize("tag", ["Markdown", "HTML", "Text", "dict"])
def test_half_a_surrogate_pair_does_no_harm(tag: str) -> None:
    html = render_result(body(tag, "a\ud800b"))

    html.encode("utf-8")
    assert "a?b" in html


TOO_MUCH = {
    "1 MB of <div>": "<div>" * 200_000,
    "101 levels of <div>": "<div>" * 101,
    "<a  5,000 times": "<a " * 5_000,
    "many attributes": "<a " + " ".join(f"a{n}" for n in range(40_000)) + ">",
    "reopened formatting": "".join(f"<b a={n}>" for n in range(99)) + "<p>" * 19_000,
    "257 KB": "x" * (MAX_BYTES + 1),
    "257 KB in UTF-8": "ß" * (MAX_BYTES // 2 + 1),
    "comments": "<!--" * 60_000,
}
MUCH = {
    "8 KB of [": "[" * 8192,
    "[a]( 3,000 times": "[a](" * 3000,
    "100 levels of <div>": "<div>" * 100 + "x",
    "quotes": "> " * 120_000,
    "list in list": "".join(" " * depth + "- a\n" for depth in range(700)),
    "backticks": "".join("`" * number + " " for number in range(240)),
    "ampersands": "&" * 20_000,
    "paragraphs": "<p>" * 19_000,
}


@pytest.mark.parametrize("reference", ["[a]", "![a]", "[x][a]", "> [a]\n\n", "|[a]|\n|-|\n\n"])
@pytest.mark.parametrize("definition", ["[a]: https://e.example/{}", '[a]: https://e.example "{}"'])
def test_one_long_address_is_not_repeated_for_each_reference_to_it(
    reference: str, definition: str
) -> None:
    text = definition.format("x" * 50_000) + "\n\n" + f"{reference} " * 1_000
    message = body("Markdown", text)
    render_result(message)

    tracemalloc.start()
    html = render_result(message)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert html == TOO_COMPLEX
    assert peak < 10_000_000, "all of them take fifty million bytes and more"


@pytest.mark.parametrize("piece", ["[x]:y\n[x]\n> > ", "[x]:y\n[x]\n> "])
def test_markdown_stops_when_its_time_is_over(piece: str) -> None:
    """Each quotation looks at all lines that follow: these would take half a minute."""
    start = thread_time()

    html = render_result(body("Markdown", piece * 2_500))

    assert html == TOO_COMPLEX
    assert thread_time() - start < 4 * SECONDS


@pytest.mark.parametrize("text", ["-a" * 60_000, "a\n\n" * 4_500])
def test_markdown_stops_within_a_line_and_between_lines(text: str) -> None:
    with limited_time(0.05):
        html = render_result(body("Markdown", text))

    assert html == TOO_COMPLEX


def test_a_hundred_short_texts_do_not_become_large_ones() -> None:
    text = f"[a]: https://e.example/{'x' * 1_000}\n\n" + "[a] " * 200

    assert render_result(body("Markdown", text)) == TOO_COMPLEX


def test_references_are_links() -> None:
    url = f"https://e.example/{'x' * 80}"

    html = render_result(body("Markdown", f"[a]: {url}\n\n" + "[a] " * 100))

    assert html.count(f'<a href="{url}"') == 100


def work_of(render: Callable[[], str]) -> tuple[str, str]:
    """What it renders, and how many functions that calls. Expressions have tests of their own
    (tests/test_linear_time.py)."""
    found: list[str] = []
    number = calls(lambda: found.append(render()))
    work = LITTLE if number < 20_000 else BOUNDED if number < 2_000_000 else TOO_MUCH_WORK
    return found[0], work


@pytest.mark.parametrize("tag", ["Markdown", "HTML"])
@pytest.mark.parametrize("name", TOO_MUCH)
def test_too_complex_output_is_not_parsed_but_offered_for_download(tag: str, name: str) -> None:
    assert work_of(lambda: render_result(body(tag, TOO_MUCH[name]))) == (TOO_COMPLEX, LITTLE)


@pytest.mark.parametrize(
    "value",
    [
        {"__list__": [0] * 50_000},
        {"CrewOutput": {"raw": "x", "tasks_output": [{"raw": "-\n" * 4_900}] * 5}},
    ],
    ids=["list", "tasks"],
)
def test_harmless_parts_do_not_add_up_to_too_many_elements(
    value: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("executions.sanitizing.SECONDS", 60)  # not the time is tested

    assert render_result(json.dumps(value)) == TOO_COMPLEX


@pytest.mark.parametrize("tag", ["Markdown", "HTML"])
@pytest.mark.parametrize("name", MUCH)
def test_tiring_output_is_shown_in_bounded_time(tag: str, name: str) -> None:
    html, work = work_of(lambda: render_result(body(tag, MUCH[name])))

    assert html != TOO_COMPLEX
    assert work in {LITTLE, BOUNDED}


@pytest.mark.parametrize("mark", ["[", "![", "*a ", "~~a", "|", "`", "&"])
def test_very_many_marks_of_markdown_are_refused(mark: str) -> None:
    assert render_result(body("Markdown", mark * 40_000)) == TOO_COMPLEX


@pytest.mark.parametrize("line", ["- a\n", "# a\n", "> a\n\n", "a\n"])
def test_very_many_lines_of_markdown_are_refused(line: str) -> None:
    assert work_of(lambda: render_result(body("Markdown", line * 30_000))) == (TOO_COMPLEX, LITTLE)


@pytest.mark.parametrize("line_end", ["\n", "\r", "\r\n"])
@pytest.mark.parametrize("prefix", ["", "> ", "> > "])
def test_short_rows_do_not_become_very_many_cells(prefix: str, line_end: str) -> None:
    rows = ["a|" * 200, "-|" * 200, *["x"] * 320]
    table = line_end.join(prefix + row for row in rows)

    assert work_of(lambda: render_result(body("Markdown", table))) == (TOO_COMPLEX, LITTLE)


def test_tables_do_not_add_up_to_very_many_cells() -> None:
    table = "a|" * 20 + "\n" + "-|" * 20 + "\n" + "x\n" * 8 + "\n"

    assert work_of(lambda: render_result(body("Markdown", table * 400))) == (TOO_COMPLEX, LITTLE)
    assert "<td>x</td>" in render_result(body("Markdown", table * 20))


def test_parts_that_each_take_long_do_not_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("executions.sanitizing.SECONDS", 0.01)
    tiring = {"Markdown": {"body": "[" * 20_000}}

    html = render_result(json.dumps({"__list__": [tiring] * 10}))

    assert html.count("[" * 20_000) == 0
    assert html.count(TOO_COMPLEX) == 2, "the first one stops on its way, the others do not begin"


@pytest.mark.parametrize(
    "value",
    [
        {"__list__": [0] * 49_000},
        {"CrewOutput": {"raw": "x", "tasks_output": [{}] * 49_000}},
    ],
    ids=["list", "tasks"],
)
def test_very_many_empty_parts_stop_when_the_time_is_over(value: Any) -> None:
    with limited_time(0.05):
        html, work = work_of(lambda: render_result(json.dumps(value)))

    assert TOO_COMPLEX in html
    assert work in {LITTLE, BOUNDED}


@pytest.mark.parametrize("bracket", ["[", '{"a":', '{"__list__":['])
def test_deep_json_is_too_complex(bracket: str) -> None:
    assert render_result(bracket * 101) == TOO_COMPLEX
    assert render_event("inputs", bracket * 20_000).startswith(bracket[0])


ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=4),
    max_leaves=8,
)


@given(st.sampled_from([*LAYOUTS, "__list__", "dict", "Other"]), ODD)
def test_every_value_of_every_layout_has_a_form_of_its_own(tag: str, value: Any) -> None:
    """Nothing is left to the fallback, which is logged as an error."""
    with structlog.testing.capture_logs() as logged:
        html = render_result(tagged(tag, value))
        inputs_as_yaml(tagged(tag, value))

    assert isinstance(html, SafeString)
    html.encode()
    assert logged == []


@pytest.mark.parametrize(("name", "field"), [("CrewOutput", "tasks_output"), ("Text", "body")])
@pytest.mark.parametrize("value", [5, True, "x", {"a": 1}, [5], [[]], None])
def test_known_fields_may_have_any_type(name: str, field: str, value: Any) -> None:
    with structlog.testing.capture_logs() as logged:
        assert render_result(tagged(name, {field: value, "raw": "the answer"}))

    assert logged == []


def test_a_message_that_cannot_be_rendered_is_shown_as_it_was_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(LAYOUTS, "Broken", lambda content: content["<missing>"])

    with structlog.testing.capture_logs() as logged:
        html = render_result(tagged("Broken", {"text": "<b>"}))

    assert html == "<pre>{&quot;Broken&quot;: {&quot;text&quot;: &quot;&lt;b&gt;&quot;}}</pre>"
    assert [each["event"] for each in logged] == ["message_not_rendered"]

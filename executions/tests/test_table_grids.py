"""Tables of engines whose grids would take a browser minutes and gigabytes are not shown."""

import json

import pytest

from executions.rendering import render_result
from executions.sanitizing import TOO_COMPLEX

ROW = "<tr><td>x</td></tr>"
CELL = '<td colspan="{}" rowspan="{}">x</td>'


def shown(html: str) -> str:
    return render_result(json.dumps({"HTML": {"body": html}}))


def table(*rows: str) -> str:
    return f"<table>{''.join(rows)}</table>"


@pytest.mark.parametrize(
    "html",
    [
        table("<tr>", CELL.format(1000, 65_534) * 3_000, "</tr>"),
        table(f"<tr>{CELL.format(900, 65_534)}</tr>" * 3_000),
        table(f"<tr>{CELL.format(' +0900px', 0)}</tr>" * 200),
        table("<tr>", CELL.format(1, 4_000) * 4_000, "</tr>", "<tr>" * 2_000),
        table("<tr>", "<td>x" * 3_000, "</tr>", ROW * 1_500),
        table(f"<tr><td>{table(ROW)}" + "<td>x" * 3_000, "</tr>", ROW * 1_500),
        table(
            *("<tr>", f'<td><a href="https://e.example/</table>">x</a>{table(ROW)}' * 1_000),
            *("</tr>", ROW * 1_000),
        ),
        table("<tr>", CELL.format("9" * 5_000, "9" * 5_000), "</tr>", ROW * 100) * 20,
    ],
    ids=["wide", "steps", "odd", "carried", "sparse", "nested", "addresses", "digits"],
)
def test_vast_grids_are_not_shown(html: str) -> None:
    assert shown(html) == TOO_COMPLEX


@pytest.mark.parametrize(
    "html",
    [
        table('<tr><th colspan="100">All</th></tr>', "<tr><td>a</td><td>b</td></tr>" * 1_000),
        table('<tr><td rowspan="2">a</td><td>b</td></tr><tr><td>c</td></tr>' * 1_000),
        table("<tr>" + "<td>x</td>" * 20 + "</tr>") * 100,
        table(f"<tr><td>{table(ROW)}</td><td>b</td></tr>" * 300),
        table('<tr><td rowspan="0">a</td><td>b</td></tr>', ROW * 500),
    ],
    ids=["title", "groups", "many", "nested", "to the end"],
)
def test_ordinary_tables_are_shown(html: str) -> None:
    assert shown(html).count("<table>") == html.count("<table>")

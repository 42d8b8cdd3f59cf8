"""A comparison as one page, which needs nothing else: no script, no font, no other file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape

from devkit.parity import report
from devkit.parity.comparing import Comparison, Difference

_STYLE = """
:root {
  color-scheme: light dark;
  --line: #d0d7de; --soft: #f6f8fa; --bad: #b42318; --good: #176f2c;
}
@media (prefers-color-scheme: dark) {
  :root { --line: #3d444d; --soft: #1f242b; --bad: #ff8b7e; --good: #6fdd8b; }
}
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 64rem; padding: 0 1rem; }
table { border-collapse: collapse; margin: 1rem 0; width: 100%; }
th, td { border: 1px solid var(--line); padding: .3rem .6rem; }
th, td { text-align: left; vertical-align: top; }
th { background: var(--soft); font-weight: 600; }
code { font: 13px/1.4 ui-monospace, monospace; overflow-wrap: anywhere; white-space: pre-wrap; }
.scroll { overflow-x: auto; }
.bad { color: var(--bad); font-weight: 600; }
.good { color: var(--good); font-weight: 600; }
small { opacity: .75; }
"""


def page(comparison: Comparison) -> str:
    """The page."""
    return "\n".join(_parts(comparison)) + "\n"


def _parts(comparison: Comparison) -> Iterator[str]:
    yield '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>Parity</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<h1>Parity</h1>"
    verdict = "bad" if comparison.unexpected else "good"
    yield f'<p class="{verdict}">{escape(report.summary(comparison))}</p>'
    for place, why in comparison.left_out.items():
        yield f"<p>{escape(place)} is left out: {escape(why)}</p>"
    if comparison.unexpected:
        yield "<h2>Unexpected</h2>"
        yield _differences(comparison.unexpected)
    yield "<h2>Facts</h2>"
    yield _table(report.counts(comparison))
    yield "<h2>Seconds</h2>"
    yield _table(report.timings(comparison))
    yield "<h2>Expected</h2>"
    for rule, differences in report.reasons(comparison):
        yield f"<h3>{escape(rule.sentence)} <small>{escape(rule.source)}</small></h3>"
        yield _differences(differences)
    yield "</body>\n</html>"


def _differences(differences: Iterable[Difference]) -> str:
    heads = ("area", "fact", "place", "there", "compared with", "there")
    rows = (
        (each.area, each.name, each.place, each.value, each.reference, each.reference_value)
        for each in differences
    )
    return _table([heads, *rows], code=(1, 3, 5))


def _table(rows: Sequence[Sequence[str]], *, code: Sequence[int] = ()) -> str:
    head, *body = rows
    lines = [_row("th", map(escape, head))]
    for row in body:
        cells = (
            f"<code>{escape(cell)}</code>" if column in code else _cell(cell)
            for column, cell in enumerate(row)
        )
        lines.append(_row("td", cells))
    return '<div class="scroll"><table>\n' + "\n".join(lines) + "\n</table></div>"


def _row(tag: str, cells: Iterable[str]) -> str:
    return "<tr>" + "".join(f"<{tag}>{cell}</{tag}>" for cell in cells) + "</tr>"


def _cell(text: str) -> str:
    is_bad = text.endswith(report.UNEXPECTED)
    return f'<span class="bad">{escape(text)}</span>' if is_bad else escape(text)

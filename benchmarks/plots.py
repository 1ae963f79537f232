"""Bar charts as SVG, without a plotting library.

A library would add a hundred megabytes to the environment. Here, a change of one figure changes one line of the file.
"""

from __future__ import annotations

from xml.sax.saxutils import escape

from benchmarks.record import Case, Record, Table

_WIDTH = 740  # that of a page's text, so that the site does not scale the letters down
_LETTER = 6.9  # the width of a letter of a label, at most on average
_VALUE = 145  # the width of the longest value beside a bar
_ROW = 22
_HEAD = 64
_MARGIN = 16
_COLOURS = {"poeproto": "#2b6cb0", "others": "#c9772b", "the limit, without the protocol": "#9aa5b1"}
_OTHERS = ("fastapi_poe", "sse-starlette", "aiohttp", "httpx-sse", "opentelemetry-instrumentation")
_LIMITS = ("bare", "raw", "template", "msgspec", "orjson", "json", "split", "anyio stream", "h11 on", "the SDK alone")
# The colours of a page that shows the plot: an SVG follows the colours that its page, or the reader's system, prefers.
_STYLE = """<style>
.paper { fill: white }
text { fill: black }
.small { fill: #444 }
path { stroke: black }
@media (prefers-color-scheme: dark) {
.paper { fill: #131416 }
text { fill: #eee }
.small { fill: #bbb }
path { stroke: #eee }
}
</style>"""


def chart(suite: str, record: Record) -> str:
    """The tables of one suite as an SVG page, one below the other."""
    tables = [table for table in record.tables if table.suite == suite]
    parts: list[str] = []
    top = _MARGIN
    left = round(max(len(case.name) for table in tables for case in table.cases) * _LETTER) + _MARGIN
    for table in tables:
        parts += _panel(table, top, left)
        top += _HEAD + _ROW * len(table.cases)
    parts += _legend(top + _ROW)
    parts.append(
        _text(
            _MARGIN,
            top + 2 * _ROW,
            f"{record.made}, {record.machine}. The line at the end of a bar: the middle half of the rounds.",
            "small",
        )
    )
    height = top + 3 * _ROW
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" viewBox="0 0 {_WIDTH} {height}"'
        ' font-family="Helvetica, Arial, sans-serif" font-size="13">'
    )
    title = f"<title>{escape(suite)}: {escape('; '.join(table.title for table in tables))}</title>"
    paper = f'<rect class="paper" width="{_WIDTH}" height="{height}"/>'
    return "\n".join([head, title, _STYLE, paper, *parts, "</svg>"]) + "\n"


def _panel(table: Table, top: int, left: int) -> list[str]:
    """One table, whose bars begin at `left`."""
    length = _WIDTH - left - _VALUE  # of the longest bar
    rows = [_row(table, case) for case in table.cases]
    longest = max(high for _, _, high in rows)
    unit = f"{table.rate}, more is better" if table.rate else f"{table.unit}, less is better"
    parts = [
        _text(_MARGIN, top + 18, table.title, "bold"),
        _text(_MARGIN, top + 36, f"{unit}; x: as a multiple of {table.cases[0].name}", "small"),
    ]
    for number, (case, (value, low, high)) in enumerate(zip(table.cases, rows, strict=True)):
        y = top + 46 + _ROW * number
        parts.append(_text(left - 8, y + 13, case.name, "label"))
        parts.append(
            f'<rect x="{left}" y="{y}" width="{length * value / longest:.1f}" height="{_ROW - 6}"'
            f' fill="{_COLOURS[kind(case.name)]}"/>'
        )
        start, end = (left + length * edge / longest for edge in (low, high))
        parts.append(f'<path d="M{start:.1f} {y + 8}H{end:.1f}" stroke-width="2"/>')
        ratio = value / rows[0][0]
        parts.append(_text(round(max(end, left)) + 8, y + 13, f"{amount(value)}  ({amount(ratio)} x)"))
    return parts


def _row(table: Table, case: Case) -> tuple[float, float, float]:
    """The median of a case, and approximately its quartiles, in the unit of the bars."""
    half = (case.spread or 0) / 2
    edges = (case.median, case.median * (1 - half), case.median * (1 + half))
    if table.rate:
        median, high, low = (1 / max(edge, case.median / 10) for edge in edges)
    else:
        median, low, high = (edge * table.scale for edge in edges)
    return median, max(low, 0.0), high


def _legend(y: int) -> list[str]:
    parts: list[str] = []
    x = _MARGIN
    for name, colour in _COLOURS.items():
        parts.append(f'<rect x="{x}" y="{y - 11}" width="12" height="12" fill="{colour}"/>')
        parts.append(_text(x + 18, y, name, "small"))
        x += 110
    return parts


def _text(x: int, y: int, text: str, style: str = "") -> str:
    styles = {
        "bold": ' font-weight="bold" font-size="14"',
        "small": ' font-size="11" class="small"',
        "label": ' text-anchor="end"',
    }
    return f'<text x="{x}" y="{y}"{styles.get(style, "")}>{escape(text)}</text>'


def kind(name: str) -> str:
    """The kind of a case, which its name shows: one of the legend's."""
    if any(other in name for other in _OTHERS):
        return "others"
    return "the limit, without the protocol" if name.startswith(_LIMITS) else "poeproto"


def amount(value: float) -> str:
    """A number with three significant digits."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 0.1 else f"{value:.3f}"

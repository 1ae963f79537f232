"""The report as one page of HTML that needs nothing else: no script, no style sheet, no image of another server."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from itertools import groupby

from poeproto.lint import SECTIONS
from poeproto_check.checker import CheckReport
from poeproto_check.exchange import Exchange
from poeproto_check.reports.evidence import reproduction, shown_transfers
from poeproto_check.reports.text import shown_message, summary
from poeproto_check.result import Result, Verdict

__all__ = ["as_html"]

_STYLE = """
:root { color-scheme: light dark; --line: #8886; --fail: #c62828; --warn: #8f5600; --pass: #2e7d32; --link: #1565c0; }
@media (prefers-color-scheme: dark) {
  :root { --fail: #ff8a80; --warn: #ffb74d; --pass: #81c784; --link: #90caf9; }
}
body { font: 15px/1.5 system-ui, sans-serif; max-width: 64rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin: 1.5rem 0 .3rem; }
details { border-top: 1px solid var(--line); padding: .35rem 0; }
summary { cursor: pointer; }
summary b { display: inline-block; min-width: 8.5rem; }
@media (max-width: 40rem) { summary b { min-width: 0; margin-right: .4rem; } }
a { color: var(--link); }
.fail b, .harness-error b { color: var(--fail); } .warn b, .untestable b { color: var(--warn); }
.pass b { color: var(--pass); }
pre { white-space: pre-wrap; overflow-wrap: anywhere; }
pre { border-left: 3px solid var(--line); padding: .2rem .6rem; margin: .3rem 0; }
.received { border-left-color: var(--link); }
small { opacity: .75; }
"""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_PAGE_PROBLEMS = 5
_KEPT = (Verdict.PASS, Verdict.NOT_APPLICABLE)


def as_html(report: CheckReport) -> str:
    """The report as a page. Text from the bot is escaped, and the page allows nothing to be loaded or run."""
    return "\n".join(_page(report)).encode("ascii", "xmlcharrefreplace").decode()


def _page(report: CheckReport) -> Iterator[str]:
    yield '<!DOCTYPE html>\n<html lang="en">\n<meta charset="utf-8">'
    yield f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
    yield '<meta name="viewport" content="width=device-width">'
    yield f"<title>poeproto check: {escape(report.url)}</title>\n<style>{_STYLE}</style>"
    yield f"<h1>{escape(report.url)}</h1>\n<p>{escape(summary(report))}</p>"
    yield f"<p>Edition {report.edition} of the specification{', strict' if report.strict else ''}.</p>"
    if report.stale:
        yield f"<p>Stale entries of the baseline: {escape(', '.join(report.stale))}</p>"
    for title, is_kept in (("Not kept", False), ("Kept, or not applicable", True)):
        results = [result for result in report.results if (result.verdict in _KEPT) is is_kept]
        if results:
            yield f"<h2>{title}</h2>"
        for result in results:
            yield from _result(result, report)
    yield "</html>"


def _result(result: Result, report: CheckReport) -> Iterator[str]:
    rule, is_open = result.rule, result.verdict in (Verdict.FAIL, Verdict.WARN, Verdict.HARNESS_ERROR)
    yield f'<details class="{result.verdict.value}"{" open" if is_open else ""}>'
    known = " (in the baseline)" if result.is_expected else ""
    yield f"<summary><b>{result.verdict.value}</b> {escape(rule.id)}{known} <small>{rule.level.value}</small></summary>"
    yield f"<p>{escape(rule.text)}<br><small>Why: {escape(rule.why)}<br>Fix: {escape(rule.fix)}<br>"
    yield f'From: <a href="{escape(SECTIONS[rule.section])}">{escape(rule.section)}</a></small></p>'
    if result.reason:
        yield f"<p>{escape(shown_message(result.reason, report))}</p>"
    # Problems of one exchange stand together, before its bytes.
    for exchange, problems in groupby(result.problems[:_PAGE_PROBLEMS], lambda problem: problem.exchange):
        for problem in problems:
            yield f"<p>{escape(shown_message(problem.message, report))}</p>"
        if exchange is not None:
            yield from _exchange(exchange, report)
    if len(result.problems) > _PAGE_PROBLEMS:
        yield f"<p>and {len(result.problems) - _PAGE_PROBLEMS} more</p>"
    yield "</details>"


def _exchange(exchange: Exchange, report: CheckReport) -> Iterator[str]:
    yield f"<pre>{escape(reproduction(exchange, report.address, report.redaction))}</pre>"
    yield "<details><summary>Bytes</summary>"
    for each in shown_transfers(exchange, report.redaction):
        way = "sent" if each.is_sent else "received"
        yield f"<small>{each.at * 1000:.1f} ms, {way} {each.size:,} bytes</small>"
        yield f'<pre class="{way}">{escape(each.text)}</pre>'
    yield "</details>"

"""The behaviour table: all cases with both libraries, the verdict on each, and the page that shows them."""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from collections.abc import Iterator, Sequence
from importlib import import_module
from unittest.mock import patch

import attrs

from .cases import Case, Outcome, Side, observe
from .differences import DIFFERENCES
from .peer import Peer

SECTIONS = {
    "names": "Names, signatures and exceptions",
    "models": "Types",
    "bots": "PoeBot",
    "replies": "What a bot yields",
    "requests": "What a server is asked",
    "serving": "make_app and run",
    "calls": "Calls of other bots",
    "poe_calls": "Files, settings and costs",
}
WORDS = "words"


@attrs.frozen
class Result:
    """A case with both outcomes."""

    section: str
    case: Case
    theirs: Outcome
    ours: Outcome

    @property
    def verdict(self) -> str | None:
        """None if both are equal; else the key of the difference, or a question mark if none is listed."""
        if self.theirs == self.ours:
            return None
        differs = self.case.differs
        key = differs(self.theirs.result, self.ours.result) if callable(differs) else differs
        if key is None and self.theirs.facts == self.ours.facts:
            return WORDS
        return key or "?"

    @property
    def is_stale(self) -> bool:
        """Whether a difference is listed that is not there."""
        return isinstance(self.case.differs, str) and self.theirs == self.ours


def cases() -> Iterator[tuple[str, Case]]:
    """All cases, each with its section."""
    for section in SECTIONS:
        module = import_module(f"{__package__}.{section}")
        for case in module.cases():
            yield section, case


async def run() -> list[Result]:
    """Run all cases with both libraries."""
    peer = Peer()
    results: list[Result] = []
    # fastapi_poe makes a client of httpx for each call, which loads the certificates each time.
    context = ssl.create_default_context()
    with patch("httpx._transports.default.create_ssl_context", return_value=context):
        async with peer.serving():
            sides = [Side(name, peer) for name in ("fastapi_poe", "poeproto_compat")]
            for section, case in cases():
                # In a task of its own, as a server handles each request, so that context variables end with it.
                theirs, ours = [await asyncio.create_task(observe(case, side)) for side in sides]
                results.append(Result(section, case, theirs, ours))
    return results


HEAD = """\
# poeproto_compat and fastapi_poe on the same inputs

Each row is a part of fastapi_poe's programming interface: a name, a parameter, a field, an event, an exception. Each
input was given to fastapi_poe 0.0.83 and to `poeproto_compat`; the results were values, events, types of exceptions and
warnings. *Other words* counts the inputs after which only the sentences of an exception, a warning or a print differ.

`make generated` writes this page. A test fails if a part of the interface has no row, if a result differs in a way that
is not listed here, and if a listed difference no longer shows.
"""
DIFFERENT = """\
## Deliberate differences

Differences that make a bot or its user safer come first, then those that a program may notice. A cell without a reason
needs none.

| key | inputs | fastapi_poe | here | why |
|---|---:|---|---|---|
"""


def page(results: Sequence[Result]) -> str:
    """The table as a page."""
    verdicts = Counter(result.verdict for result in results)
    equal, other_words = verdicts[None], verdicts[WORDS]
    rows = len({result.case.row for result in results})
    lines = [
        HEAD,
        f"{len(results):,} inputs in {rows:,} rows: {equal:,} equal, {other_words:,} equal with other words,"
        f" {len(results) - equal - other_words:,} with a deliberate difference.\n",
        DIFFERENT.rstrip(),
        *(_difference(key, verdicts[key]) for key in DIFFERENCES),
    ]
    for section, title in SECTIONS.items():
        lines += [
            "",
            f"## {title}",
            "",
            "| row | inputs | equal | other words | different |",
            "|---|---:|---:|---:|---|",
        ]
        by_row: dict[str, list[Result]] = {}
        for result in results:
            if result.section == section:
                by_row.setdefault(result.case.row, []).append(result)
        lines += [_line(row, found) for row, found in by_row.items()]
    return "\n".join([*lines, ""])


def _difference(key: str, inputs: int) -> str:
    listed = DIFFERENCES[key]
    return f"| {key} | {inputs:,} | {listed.theirs} | {listed.here} | {listed.why} |".replace("|  |", "| |")


def _line(row: str, results: Sequence[Result]) -> str:
    by_key: dict[str, list[str]] = {}
    for result in results:
        by_key.setdefault(result.verdict or "", []).append(result.case.given)
    equal, other_words = (len(by_key.pop(key, ())) for key in ("", WORDS))
    different = "; ".join(_found(*item) for item in by_key.items())
    return f"| {_cell(row)} | {len(results)} | {equal} | {other_words} | {different} |".replace("|  |", "| |")


def _found(key: str, given: Sequence[str]) -> str:
    listed = ", ".join(_cell(each) for each in given[:4])
    more = f" and {len(given) - 4} more" if len(given) > 4 else ""
    return f"{key}: {listed}{more}"


def _cell(text: str) -> str:
    ticks = "``" if "`" in text else "`"
    return f"{ticks}{text}{ticks}".replace("|", "\\|").replace("\n", " ")

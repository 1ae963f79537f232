"""Writes the generated parts of docs/, made from the code and from recorded figures: rules, JSON Schemas, diagrams,
tables.

`make generated` runs it after a change of the vocabulary or the tables; a test compares what is on file.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
import sys
import textwrap
from collections.abc import Iterator, Mapping
from enum import Enum
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

from poeproto import State
from poeproto.exchange.states import EXCUSED, IGNORED, TRANSITIONS
from poeproto.lint import EDITIONS, NEEDS, RULES, SECTIONS, Rule
from poeproto.schemas import event_schema, request_schema, settings_schema
from poeproto_openai.mapping import MAPPING, SIDES
from poeproto_otel import ATTRIBUTES, METRICS, SPAN_EVENTS
from poeproto_record import recording_schema
from poeproto_runtime.client.states import (
    OWNERSHIPS,
    REPLY,
    RUNNER,
    Owner,
    ReplyAct,
    ReplyPhase,
    RunnerAct,
    RunnerState,
)
from poeproto_runtime.reply.states import (
    BOT_PACE,
    SERVER,
    TASK_RELATIONS,
    TASKS,
    WRITING,
    Act,
    BotPace,
    Server,
    Task,
    Tasks,
    Writing,
)

DOCS = Path(__file__).parent

STATES = """\
# The states of an exchange

`our_state` and `their_state` of `BotExchange` and `PoeExchange` are two of these, one for each side. Both classes obey
the one table in `poeproto/exchange/states.py`, from which `make generated` draws this page.

An arrow is something that the side may send. Sending anything else raises `LocalProtocolError`; receiving it is a
`RemoteProtocolError`, but for [what a reader tolerates](#what-a-reader-tolerates). Four arrows stand for several
things:

- CONTENT is `text`, `replace_response`, `file` or `json`: a reply needs one of them, or an `error`.
- ASIDE is `suggested_reply` or `data`.
- CALL is a request of another type than a query: settings, or a report.
- RESPONSE is a response that is not a stream: settings, the empty answer to a report, an HTTP error.
"""


def generated() -> dict[Path, str]:
    """The text of each file."""
    schemas = {
        "request": request_schema(),
        "event": event_schema(),
        "settings": settings_schema(),
        "recording": recording_schema(),
    }
    files = {DOCS / "schemas" / f"{name}.json": json.dumps(schema, indent=2) + "\n" for name, schema in schemas.items()}
    runtime, openai, observability = (DOCS / f"{name}.md" for name in ("runtime", "openai", "observability"))
    decisions = DOCS / "explanation" / "decisions.md"
    return files | {
        **{page: _with_programs(page.read_text(encoding="utf-8")) for page in DOCS.glob("howto/*.md")},
        DOCS / "checks.md": "\n".join(_checks()),
        DOCS / "states.md": "\n".join(_states()),
        runtime: _with_diagrams(runtime.read_text(encoding="utf-8")),
        decisions: _with_parts(decisions.read_text(encoding="utf-8"), {"decisions": _decisions()}),
        openai: _with_parts(openai.read_text(encoding="utf-8"), {"mapping": _mapping()}),
        observability: _with_parts(
            observability.read_text(encoding="utf-8"),
            {"span events": _span_events(), "metrics": _metrics(), "attributes": _attributes()},
        ),
    }


CHECKS = """\
# The rules of the protocol

What Poe expects of a bot server, and what a bot server may expect of a request: each rule with its reason and its fix.

- [`poeproto check URL`](checking.md) judges a server by all rules but those of requests.
- `poeproto.lint` judges messages and replies, and [`poeproto recording lint`](howto/record.md) those of a recording.

`make generated` writes this page from the table `poeproto.lint.RULES`.

A rule has a stable name, its id, and these properties:

- **Level.** MUST: Poe or a reader refuses or drops what breaks the rule, or it is unsafe. SHOULD: the specification
  advises it, and breaking it costs something under some conditions. MAY: breaking it is a mere difference from the
  specification.
- **Section** of Poe's specification, or of a standard that it builds on.
- **Editions** of the specification that have the rule, by year; not shown for a rule that all of them have.
- **Needs**: what a judge needs besides the URL of a bot server.
"""
# Requirements of the documents without a rule, and the reason.
UNJUDGED = {
    "a server compares keys in constant time, and may have several": "the delays of a network hide the difference",
    "an error response names the field that is wrong": "the specification leaves its form open",
    "a bot sends the `metadata` of its query with its calls to other bots": "the check does not see these calls",
    "a bot calls the bots in `server_bot_dependencies`, as often as declared": "likewise, and Poe counts them",
    "a file has at most 50 MB; the URL of an attachment is valid for ten minutes": "it would have to fetch files",
    "text is written as UTF-8, not as `\\u` escapes": "all readers accept both",
    "`language_code` is a BCP 47 tag, `timestamp` is in microseconds": "no reader refuses another value",
    "a tab has a name": "the documents disagree on whether it may be null",
    "the last `data` event counts, `replace_response` discards the text before it": "it is for readers",
    "readers ignore unknown events, and know a cut reply from a complete one": "`tests/vectors/` tests readers",
    "amounts are positive integers, and there are at most 500 requests a minute": "Poe refuses what breaks them",
}
# The families, in the order of the page.
FAMILIES = {
    "auth": "Access keys",
    "http": "HTTP",
    "input": "What a bot server does with input",
    "settings": "Settings",
    "controls": "Parameter controls",
    "report": "Reports",
    "framing": "The framing of a reply",
    "event": "Single events of a reply",
    "reply": "A reply as a whole",
    "limits": "Limits on size and number",
    "time": "Limits on time",
    "request": "Requests, for those who send them",
}


def _checks() -> Iterator[str]:
    yield CHECKS.rstrip()
    yield "\n| needs | meaning |\n|---|---|"
    for need, meaning in NEEDS.items():
        yield f"| {need} | {meaning} |"
    yield "\nThe documents of Poe disagree in places. There a rule accepts several answers, and names them."
    for family, title in FAMILIES.items():
        rules = [rule for rule in RULES.values() if rule.family == family]
        yield f"\n## {title}\n\n| rule | level | in one sentence |\n|---|---|---|"
        for rule in rules:
            sentence, *_ = re.split(r"(?<=\.) (?=[A-Z`])", rule.text)
            yield f"| [`{rule.id}`](#{_anchor(rule)}) | {rule.level.value} | {sentence} |"
        for rule in rules:
            yield from _check(rule)
    yield "\n## What no rule is about\n\n| what the documents ask for | why there is no rule |\n|---|---|"
    yield from (f"| {statement} | {reason} |" for statement, reason in UNJUDGED.items())
    yield ""
    for section, url in SECTIONS.items():
        yield f"[{section}]: {url}"
    yield ""


def _check(rule: Rule) -> Iterator[str]:
    yield f"\n### {rule.id}\n"
    facts = [f"**{rule.level.value}**", f"[{rule.section}]"]
    if rule.editions != EDITIONS:
        facts.append(f"edition {' and '.join(map(str, sorted(rule.editions)))}")
    if rule.needs:
        facts.append(f"needs {' and '.join(need for need in NEEDS if need in rule.needs)}")
    yield " · ".join(facts)
    for line in (rule.text, f"*Why:* {rule.why}", f"*Fix:* {rule.fix}"):
        yield "\n" + textwrap.fill(line, 125, break_long_words=False, break_on_hyphens=False)


def _anchor(rule: Rule) -> str:
    """The anchor that GitHub gives the heading."""
    return rule.id.replace(".", "")


def text_of_constant(place: str) -> str:
    """The string below the assignment of a constant, as editors show it; empty if there is none.

    Args:
        place: a module that has it, and its name after a dot.
    """
    home, _, name = place.rpartition(".")
    value = getattr(import_module(home), name)
    for module in (import_module(home), *(m for n, m in sorted(sys.modules.items()) if n.startswith("poeproto"))):
        if vars(module).get(name) is not value:
            continue
        for statement, below in pairwise(ast.parse(inspect.getsource(module)).body):
            target = statement.target if isinstance(statement, ast.AnnAssign) else None
            if isinstance(statement, ast.Assign):
                [target] = statement.targets
            is_assignment = isinstance(target, ast.Name) and target.id == name
            if is_assignment and isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
                return str(below.value.value)
    return ""


def _states() -> Iterator[str]:
    yield STATES
    for role, rows in TRANSITIONS.items():
        yield f"## The {role.value}\n\n```mermaid\nstateDiagram-v2\n    [*] --> {State.IDLE.name}"
        for state, row in rows.items():
            for kind, target in row.items():
                yield f"    {state.name} --> {target.name}: {kind.name}"
        yield f"    {State.DONE.name} --> [*]\n```\n\n| state | meaning |\n|---|---|"
        for state in rows:
            yield f"| {state.name} | {state.value} |"
        yield ""
    yield f"{State.ERROR.name} has no arrow into it: it is where a side is after it has broken a rule.\n"
    yield "## What a reader tolerates\n\n| state | on | happens |\n|---|---|---|"
    for state, row in EXCUSED.items():
        for kind, target in row.items():
            yield f"| {state.name} | {kind.name} | accepted, and leads to {target.name} |"
    for state, kinds in IGNORED.items():
        everything = state in (State.FAILED, State.DONE)
        what = "everything" if everything else ", ".join(sorted(kind.name for kind in kinds))
        yield f"| {state.name} | {what} | ignored |"
    yield ""


def _with_programs(page: str) -> str:
    """The page, with the programs that it names in comments, without their docstrings."""

    def block(match: re.Match[str]) -> str:
        path = DOCS / "examples" / (match[1] if "." in match[1] else f"{match[1]}.py")
        code = path.read_text(encoding="utf-8")
        language = "javascript"
        if path.suffix == ".py":
            language = "python"
            _, _, code = code.replace("# pyright: reportUnknownMemberType=false\n", "").split('"""', 2)
        return f"{match[0].splitlines()[0]}\n```{language}\n{code.strip()}\n```\n<!-- end -->"

    return re.sub(r"<!-- program: ([\w/.]+) -->\n.*?<!-- end -->", block, page, flags=re.DOTALL)


def _with_diagrams(page: str) -> str:
    parts = {
        "tasks": _reply_tasks(),
        "states": _reply_states(),
        "owners of a call": _call_owners(),
        "states of a call": _call_states(),
    }
    return _with_parts(page, parts)


def _with_parts(page: str, parts: Mapping[str, Iterator[str]]) -> str:
    """The page, with its generated parts replaced: each is between two comments."""
    for name, lines in parts.items():
        before, marks, after = f"<!-- generated: {name} -->", "\n", "<!-- end -->"
        start = page.index(before) + len(before)
        page = page[:start] + marks + "\n".join(lines) + marks + page[page.index(after, start) :]
    return page


def _mapping() -> Iterator[str]:
    """The mapping between Poe's protocol and OpenAI's API, a table for each side."""
    for side, title in SIDES.items():
        yield f"## {title}\n"
        yield "| what | becomes |\n|---|---|"
        for row in MAPPING:
            if row.side == side:
                support = "" if row.support == "yes" else f"*{row.support}*: "
                yield f"| {row.what} | {support}{row.becomes} |"
        yield ""


def _span_events() -> Iterator[str]:
    yield "| event | when |\n|---|---|"
    yield from (f"| `{name}` | {meaning} |" for name, meaning in SPAN_EVENTS.items())


def _metrics() -> Iterator[str]:
    yield "| metric | kind | unit | what | attributes | in Prometheus |\n|---|---|---|---|---|---|"
    for metric in METRICS:
        attributes = ", ".join(f"`{name}`" for name in metric.attributes)
        yield (
            f"| `{metric.name}` | {metric.instrument.value} | `{metric.unit}` | {metric.description} | {attributes} "
            f"| `{metric.prometheus_name}` |"
        )
    yield "\n| buckets of | bounds, in the unit of the metric |\n|---|---|"
    by_bounds: dict[tuple[float, ...], list[str]] = {}
    for metric in METRICS:
        if metric.buckets:
            by_bounds.setdefault(metric.buckets, []).append(f"`{metric.name}`")
    for bounds, names in by_bounds.items():
        yield f"| {', '.join(names)} | {', '.join(map(str, bounds))} |"


def _attributes() -> Iterator[str]:
    yield "| attribute | value |\n|---|---|"
    yield from (f"| `{name}` | {meaning} |" for name, meaning in ATTRIBUTES.items())


# What was decided, instead of what, and the two figures beside each other: the title of a table, and two of its cases.
DECISIONS = (
    (
        "a burst leaves in one write",
        "a write for each event",
        "server, an event in replies of 1000, c=1",
        "poeproto on Hypercorn, asyncio",
        "bare ASGI on Hypercorn, asyncio",
    ),
    (
        "a client of our own on h11, with streams of its own",
        "h11 on an anyio stream",
        "client: 100 streams, an event every 20 ms, CPU an event",
        "poeproto_h11.Client, asyncio",
        "h11 on an anyio stream, asyncio",
    ),
    (
        "the client parses plain chunks itself",
        "h11 parses all of them",
        "client, an event of 10000: 1 message, each event a chunk of its own",
        "poeproto_h11.Client, asyncio",
        "raw h11, bytes only",
    ),
    (
        "an embedded server of our own on h11, which writes to its sockets",
        "uvicorn",
        "paced: 256 streams, an event every 20 ms, server CPU an event",
        "poeproto_h11, asyncio",
        "poeproto on uvicorn",
    ),
    (
        "msgspec decodes JSON",
        "the standard library",
        "JSON libraries, a text event's payload to a dict",
        "msgspec",
        "json",
    ),
    (
        "msgspec, which fills values too",
        "orjson, which makes dicts",
        "JSON libraries, a query of 50 messages (50362 bytes) to a dict",
        "msgspec",
        "orjson",
    ),
    (
        "a Struct is decoded, and copied into the value",
        "msgspec fills our classes",
        "decoding a query of 50 messages (50362 bytes)",
        "decode_request",
        "msgspec straight into our classes",
    ),
    (
        "a fast path for usual events, with every check of the general one",
        "one path for all: what an unknown key takes",
        "decode_event, by the kind of event",
        "Text",
        "Text, an unknown key",
    ),
    (
        "names are imported when they are first used",
        "all at once",
        "an import, in an interpreter of its own",
        "import poeproto",
        "import poeproto, and all of its names",
    ),
    (
        "instrumentation of our own for OpenTelemetry",
        "that of ASGI applications",
        "an event that is sent alone, of 10,000, CPU",
        "poeproto_otel, spans",
        "opentelemetry-instrumentation-asgi, spans",
    ),
)


def _decisions() -> Iterator[str]:
    """Design decisions, with the recorded figures that settled them."""
    record = json.loads((DOCS / "performance" / "figures.json").read_text(encoding="utf-8"))
    tables = {table["title"]: table for table in record["tables"]}
    yield "| decision | instead of | measured | this way | the other way | command |\n|---|---|---|---:|---:|---|"
    for decision, otherwise, title, chosen, rejected in DECISIONS:
        table = tables[title]
        medians = {case["name"]: case["median"] * table["scale"] for case in table["cases"]}
        figures = " | ".join(f"{medians[name]:.3g}\N{NO-BREAK SPACE}{table['unit']}" for name in (chosen, rejected))
        yield f"| {decision} | {otherwise} | {title} | {figures} | `python -m benchmarks {table['suite']}` |"


def _reply_tasks() -> Iterator[str]:
    yield "```mermaid\nflowchart TD"
    for task in Task:
        yield f'    {task.name}["{task.name}<br>{task.value}"]'
    for relation in TASK_RELATIONS:
        arrow = "-->" if relation.does == "starts" else "-.->"
        yield f'    {relation.task.name} {arrow}|"{relation.does}: {relation.when}"| {relation.other.name}'
    yield "```\n\n| task | | other task | where | when |\n|---|---|---|---|---|"
    for relation in TASK_RELATIONS:
        names = f"{relation.task.name} | {relation.does} | {relation.other.name}"
        yield f"| {names} | `{relation.function}` | {relation.when} |"


Tables = list[tuple[type[Enum], Mapping[Any, Mapping[Any, Any]]]]


def _reply_states() -> Iterator[str]:
    tables: Tables = [(Writing, WRITING), (BotPace, BOT_PACE), (Tasks, TASKS), (Server, SERVER)]
    yield from _state_diagram("Reply", tables)
    yield from _meanings(tables)
    yield from _acts(Act, "The acts, and where each happens.", "where")


def _call_owners() -> Iterator[str]:
    yield "```mermaid\nflowchart LR"
    for owner in Owner:
        yield f'    {owner.name}["{owner.name}<br>{owner.value}"]'
    for each in OWNERSHIPS:
        arrow = "-.->" if each.does == "waits for" else "-->"
        yield f'    {each.owner.name} {arrow}|"{each.does}: {each.when}"| {each.other.name}'
    yield "```\n\n| who | | what | where | when |\n|---|---|---|---|---|"
    for each in OWNERSHIPS:
        yield f"| {each.owner.name} | {each.does} | {each.other.name} | `{each.function}` | {each.when} |"


def _call_states() -> Iterator[str]:
    tables: Tables = [(ReplyPhase, REPLY), (RunnerState, RUNNER)]
    yield from _state_diagram("Call", tables)
    yield from _meanings(tables)
    yield from _acts(ReplyAct, "What the caller does with a reply, and what becomes of that.", "what happens")
    yield from _acts(RunnerAct, "What happens to the flow and its effects.", "what happens")


def _state_diagram(name: str, tables: Tables) -> Iterator[str]:
    yield f"```mermaid\nstateDiagram-v2\n    state {name} {{"
    for number, (states, table) in enumerate(tables):
        if number:
            yield "        --"
        yield f"        [*] --> {next(iter(states)).name}"
        for state, moves in table.items():
            targets: dict[Any, list[str]] = {}
            for act, target in moves.items():
                if target is not state:
                    targets.setdefault(target, []).append(act.name)
            yield from (
                f"        {state.name} --> {target.name}: {', '.join(acts)}" for target, acts in targets.items()
            )
    yield "    }\n```"


def _meanings(tables: Tables) -> Iterator[str]:
    for states, _ in tables:
        summary, *_ = (states.__doc__ or "").split("\n")
        yield f"\n**`{states.__name__}`**. {summary}\n\n| state | meaning |\n|---|---|"
        for state in states:
            yield f"| {state.name} | {state.value} |"


def _acts(acts: type[Enum], summary: str, column: str) -> Iterator[str]:
    yield f"\n**`{acts.__name__}`**. {summary}\n\n| act | {column} |\n|---|---|"
    for act in acts:
        yield f"| {act.name} | {act.value} |"


if __name__ == "__main__":
    for path, text in generated().items():
        path.write_text(text, encoding="utf-8")

"""The checker: finds out whether there is a bot server, runs the probes, and makes a report of their observations."""

from __future__ import annotations

import ssl
from collections.abc import Iterable

import anyio
import attrs

from poeproto import ConnectFailed, Limits
from poeproto.lint import RULES, Rule
from poeproto_check.baseline import apply_baseline
from poeproto_check.evidence_redaction import EvidenceRedaction
from poeproto_check.exchange import Exchange
from poeproto_check.judge import Judge
from poeproto_check.probe import CheckTimes, Probe, ProbeContext, WatchEnd
from poeproto_check.probes import PROBES
from poeproto_check.raw_connection import ServerAddress
from poeproto_check.result import Result, Verdict
from poeproto_check.selection import limits_of

__all__ = ["CheckOptions", "CheckReport", "NothingToCheck", "Plan", "check", "plan"]

# Every probe judges these, so selecting these rules alone does not run all probes.
_UBIQUITOUS = frozenset({"http.messages", "input.traceback"})


class NothingToCheck(Exception):
    """There is no bot server to check. The message is one line that says why, and what to do."""


@attrs.frozen(kw_only=True)
class CheckOptions:
    """The rules to check, and how.

    Attributes:
        rules: the selected rules, by id; see `select_rules`.
        access_key: the bot's key; None for a bot that answers without one.
        edition: the edition of the specification whose limits apply.
        strict: whether broken SHOULDs fail the run.
        baseline: ids of rules that are known to be broken.
        max_queries: how many queries may be sent; None for as many as the probes need.
        limits: the limits to check; None for those of the edition.
        times: how long to wait for what.
    """

    rules: dict[str, Rule]
    access_key: str | None = attrs.field(default=None, repr=False)
    edition: int = 2025
    strict: bool = False
    baseline: frozenset[str] = frozenset()
    max_queries: int | None = None
    limits: Limits | None = None
    times: CheckTimes = attrs.field(factory=CheckTimes)


@attrs.frozen
class Plan:
    """The probes to run, and those that are left out.

    Attributes:
        probes: those to run, in order.
        left_out: those for which the queries do not suffice, and those that need a key.
    """

    probes: tuple[Probe, ...]
    left_out: tuple[tuple[Probe, str], ...]

    @property
    def queries(self) -> int:
        """How many queries the probes send at most."""
        return sum(probe.queries for probe in self.probes)


@attrs.frozen(kw_only=True)
class CheckReport:
    """The results of a run.

    Attributes:
        url: the server, without the query of its URL.
        edition: the edition of the specification.
        strict: whether broken SHOULDs fail the run.
        results: one for each selected rule, in the order of the table.
        stale: entries of the baseline whose rules are kept.
        queries: how many queries the probes that ran send at most. A probe may have stopped before its last one.
        seconds: how long the run took.
        redaction: keeps the key out of reports.
        address: the server.
    """

    url: str
    edition: int
    strict: bool
    results: tuple[Result, ...]
    stale: tuple[str, ...]
    queries: int
    seconds: float
    redaction: EvidenceRedaction = attrs.field(repr=False)
    address: ServerAddress

    @property
    def findings(self) -> list[Result]:
        """The results that fail the run: those that the baseline lists are not among them."""
        return [result for result in self.results if result.is_finding(self.strict)]

    @property
    def exit_code(self) -> int:
        """0 without findings, 1 with them or with a stale baseline, 3 when the check itself failed."""
        if any(result.verdict is Verdict.HARNESS_ERROR for result in self.results):
            return 3
        return 1 if self.findings or self.stale else 0

    def count(self, verdict: Verdict) -> int:
        """How many rules have this verdict."""
        return sum(result.verdict is verdict for result in self.results)


def plan(options: CheckOptions, probes: Iterable[Probe] = PROBES) -> Plan:
    """The probes for the selected rules, within the number of queries."""
    chosen: list[Probe] = []
    left_out: list[tuple[Probe, str]] = []
    wanted = [probe for probe in probes if set(probe.rules) & options.rules.keys() - _UBIQUITOUS]
    wanted = wanted or [probe for probe in probes if set(probe.rules) & options.rules.keys()]
    needed = {name for probe in wanted for name in probe.after}
    budget = options.max_queries
    for probe in probes:
        if probe not in wanted and probe.name not in needed:
            continue
        if probe.needs_key and options.access_key is None:
            left_out.append((probe, "it needs the access key"))
        elif budget is not None and probe.queries > budget:
            left_out.append((probe, f"its probe needs {probe.queries} queries, and {budget} of those allowed are left"))
        elif any(name == other.name for name in probe.after for other, _ in left_out):
            left_out.append((probe, "a probe that it depends on is left out"))
        else:
            chosen.append(probe)
            budget = None if budget is None else budget - probe.queries
    return Plan(tuple(chosen), tuple(left_out))


async def check(
    address: ServerAddress,
    options: CheckOptions,
    *,
    watch_end: WatchEnd | None = None,
    probes: Iterable[Probe] = PROBES,
) -> CheckReport:
    """Check a bot server.

    Args:
        address: the server.
        options: the rules to check and the limits to apply.
        watch_end: see `ProbeContext`; for a bot that the caller serves.
        probes: the probes to choose from.

    Raises:
        NothingToCheck: when there is no bot at the address, or it refuses the key.
    """
    began = anyio.current_time()
    redaction = redaction_of(address, options)
    judge = Judge(options.rules)
    context = ProbeContext(
        address=address,
        access_key=options.access_key,
        judge=judge,
        limits=options.limits or limits_of(options.edition),
        times=options.times,
        watch_end=watch_end,
    )
    await _reach(context, redaction)
    planned = plan(options, probes)
    for probe, why in planned.left_out:
        for rule in probe.rules:
            judge.does_not_apply(rule, why)
    sent = 0
    for probe in planned.probes:
        if await _run(probe, context):
            sent += probe.queries
    results, stale = apply_baseline(judge.results(), options.baseline)
    return CheckReport(
        url=redaction.text(address.shown_url),
        edition=options.edition,
        strict=options.strict,
        results=tuple(results),
        stale=tuple(stale),
        queries=sent,
        seconds=anyio.current_time() - began,
        redaction=redaction,
        address=address,
    )


async def _run(probe: Probe, context: ProbeContext) -> bool:
    """Run a probe; whether its requests were sent."""
    judge = context.judge
    judge.probe = probe.name
    missing = [name for name in probe.after if name not in context.worked]
    if missing:
        why, exchange = context.unusable.get(missing[0], ("it was left out", None))
        for rule in probe.rules:
            if "target" in RULES[rule].needs and context.watch_end is None:
                continue  # the result would not change
            judge.cannot_test(rule, f"the probe {missing[0]} got no usable answer: {why}", exchange)
        return False
    try:
        await probe.run(context)
    except ConnectFailed as exc:
        for rule in probe.rules:
            judge.cannot_test(rule, str(exc))
    except Exception as exc:  # noqa: BLE001 - a bug in one probe must not hide the results of the others
        judge.failed(probe.rules, exc)
    return True


def redaction_of(address: ServerAddress, options: CheckOptions) -> EvidenceRedaction:
    """A redaction that keeps the key and the query of the URL out of reports and messages."""
    return EvidenceRedaction(options.access_key, address.target.partition("?")[2])


async def _reach(context: ProbeContext, redaction: EvidenceRedaction) -> None:
    """Raise `NothingToCheck` if there is certainly no bot that could be checked."""
    try:
        exchange = await context.send(context.settings_request())
    except ConnectFailed as exc:
        is_tls = isinstance(exc.__cause__, ssl.SSLError)
        advice = "is the certificate right?" if is_tls else "is the URL right, and the server running?"
        raise NothingToCheck(f"{exc}; {advice}") from exc
    why = _why_not(exchange, context.access_key)
    if why is not None:
        raise NothingToCheck(f"{redaction.text(context.address.shown_url)}: {why}")


def _why_not(exchange: Exchange, access_key: str | None) -> str | None:
    response = exchange.response
    if exchange.status is None:
        return f"{exchange.outcome}; is that an HTTP server?"
    if exchange.status in (401, 403):
        if access_key is None:
            return f"{exchange.outcome}; give the bot's key with --access-key or in POE_ACCESS_KEY"
        return f"{exchange.outcome}; the access key is wrong"
    if exchange.status in (404, 405):
        return f"{exchange.outcome}; is that the URL of a bot?"
    if 300 <= exchange.status < 400:
        return f"{exchange.outcome}: a redirect, which Poe does not follow; give the URL that it leads to"
    if response.body.lstrip()[:1] == b"<":
        return f"{exchange.outcome} and HTML; is that the URL of a bot?"
    return None

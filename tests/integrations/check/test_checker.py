"""The checker: servers that it cannot check, what it selects, baselines, and its own mistakes."""

from __future__ import annotations

import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager

import anyio
import pytest

from poeproto import Bot, Context, QueryRequest
from poeproto_asgi import BotApp
from poeproto_check import (
    BaselineError,
    CheckOptions,
    CheckTimes,
    NoSuchRule,
    NothingToCheck,
    Probe,
    ProbeContext,
    ServerAddress,
    Verdict,
    check,
    parse_baseline,
    plan,
    select_rules,
)
from poeproto_check.probes import PROBES

from ...support.bots import KEY
from ...support.broken_bots import NoSettingsBot, OneCaseBot, StatusBot
from ...support.embedded_servers import EchoBot, serving
from ...support.hypercorn_servers import serving as serving_on_hypercorn
from ...support.raw_bots import RawRequest, SoundBot, response, serving_raw
from ...support.tls_peer import Certificate, certificate
from .test_broken_bots import findings, run_check

pytestmark = pytest.mark.anyio
__all__ = ["certificate"]
_TIMES = CheckTimes(piece=0.001)
_OPTIONS = CheckOptions(rules=select_rules(), access_key=KEY, times=_TIMES)


class ChattingBot(Bot):
    """Sends several events, and waits between them."""

    async def get_response(self, request: QueryRequest, context: Context):
        for word in request.query[-1].content.split():
            yield word
            await anyio.lowlevel.checkpoint()


# --- servers of poeproto


@pytest.mark.parametrize("bot", [EchoBot(), ChattingBot()])
async def test_the_embedded_server_has_no_findings(bot: Bot) -> None:
    async with serving(bot, access_key=KEY) as address:
        report = await check(ServerAddress.of(address), _OPTIONS)
    assert findings(report) == {}


async def test_hypercorn_has_no_findings() -> None:
    async with serving_on_hypercorn(BotApp(EchoBot(), access_key=KEY)) as address:
        report = await check(ServerAddress.of(address), _OPTIONS)
    assert findings(report) == {}


async def test_a_unix_socket(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = str(tmp_path_factory.mktemp("s") / "bot")
    async with serving(EchoBot(), access_key=KEY, bind=f"unix:{path}"):
        report = await check(ServerAddress.of("http://bot/", path), _OPTIONS)
    assert findings(report) == {}


async def test_tls(certificate: Certificate) -> None:
    with serving_raw(SoundBot(), certificate.server()) as url:
        trusted = ServerAddress.of(url, ssl_context=certificate.trusting_client())
        report = await check(trusted, _OPTIONS)
        with pytest.raises(NothingToCheck, match=r"certificate.*; is the certificate right\?$"):
            await check(ServerAddress.of(url), _OPTIONS)
    assert findings(report) == {}


async def test_a_bot_without_a_key() -> None:
    async with serving(EchoBot(), allow_without_key=True) as address:
        report = await check(ServerAddress.of(address), CheckOptions(rules=select_rules(), times=_TIMES))
    assert findings(report) == {}
    assert {result.verdict for result in report.results if result.rule.family == "auth"} == {Verdict.NOT_APPLICABLE}


# --- nothing to check


class RefusingBot(SoundBot):
    """Answers everything in the same way."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer

    def respond(self, request: RawRequest) -> list[bytes]:
        return [self.answer]


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (response(401), "status 401; the access key is wrong"),
        (response(404), "status 404; is that the URL of a bot?"),
        (response(405), "status 405; is that the URL of a bot?"),
        (response(302, location="/bot"), "a redirect, which Poe does not follow"),
        (
            response(200, b" <!DOCTYPE html>", content_type="text/html"),
            "status 200 and HTML; is that the URL of a bot?",
        ),
        (b"SSH-2.0-OpenSSH_9\r\n", "does not begin with a status line of HTTP/1.1; is that an HTTP server?"),
    ],
)
def test_no_bot(answer: bytes, why: str) -> None:
    with serving_raw(RefusingBot(answer)) as url, pytest.raises(NothingToCheck, match=why) as caught:
        run_check(url, _OPTIONS)
    assert "\n" not in str(caught.value)


def test_no_key() -> None:
    with serving_raw(SoundBot()) as url, pytest.raises(NothingToCheck, match="give the bot's key with --access-key"):
        run_check(url, CheckOptions(rules=select_rules()))


def test_no_server() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(NothingToCheck, match=f"^no connection to http://127.0.0.1:{port}: .*server running"):
        run_check(f"http://127.0.0.1:{port}/", _OPTIONS)


@contextmanager
def closing_server() -> Generator[str]:
    """A server that closes each connection at once."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def close_all() -> None:
            while True:
                try:
                    listener.accept()[0].close()
                except OSError:
                    return

        thread = threading.Thread(target=close_all)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()


def test_a_server_that_closes() -> None:
    with closing_server() as url, pytest.raises(NothingToCheck, match=r"no response: the server .*an HTTP server"):
        run_check(url, _OPTIONS)


# --- selection, and queries


@pytest.mark.parametrize(
    ("options", "ids"),
    [
        ({"rules": ["auth.*"], "skip": ["auth.key-leak"]}, {"auth.wrong-key", "auth.missing-key"}),
        ({"rules": ["http"], "sections": ["HTTP/1.1"]}, {"http.pipelining", "http.reuse"}),
        ({"sections": ["authentication"]}, {"auth.wrong-key"}),
    ],
)
def test_selected_rules(options: dict[str, list[str]], ids: set[str]) -> None:
    selected = select_rules(**options)  # pyright: ignore[reportArgumentType]
    assert ids <= selected.keys()
    assert "auth.key-leak" not in selected or "skip" not in options
    assert len(selected) < 12


def test_an_edition_has_its_rules_and_limits() -> None:
    assert "controls.kinds" not in select_rules(edition=2023)
    with pytest.raises(NoSuchRule, match=r"no rule 'auht'; did you mean auth\? --list shows all"):
        select_rules(rules=["auht"])
    with pytest.raises(NoSuchRule, match=r"'auth\.missingkey'; did you mean auth\.missing-key\? --list shows all"):
        select_rules(rules=["auth.missingkey"])
    with pytest.raises(NoSuchRule, match=r"'xyz'; the families are settings, .*, http; --list shows all"):
        select_rules(skip=["xyz"])
    with pytest.raises(NoSuchRule, match="no section 'nothing'; the sections are Identifiers, "):
        select_rules(sections=["Nothing"])


def test_queries_are_counted_and_bounded() -> None:
    seen: list[bytes] = []

    class CountingBot(SoundBot):
        def respond(self, request: RawRequest) -> list[bytes]:
            seen.append(request.body or b"")
            return list(super().respond(request))

    for bound in (0, 1, 4, None):
        seen.clear()
        options = CheckOptions(rules=select_rules(), access_key=KEY, times=_TIMES, max_queries=bound)
        with serving_raw(CountingBot()) as url:
            report = run_check(url, options)
        whole = sum(b'"type":"query",' in body and body.endswith(b"}") for body in seen)
        assert whole == report.queries == plan(options).queries
        assert bound is None or report.queries <= bound
        assert findings(report) == {}
        assert report.exit_code == 0


def test_only_the_probes_of_selected_rules_run() -> None:
    probes = plan(CheckOptions(rules=select_rules(rules=["auth.scheme-case"]), access_key=KEY)).probes
    assert [probe.name for probe in probes] == ["settings", "scheme-case"]


# --- exit codes and baselines


def test_strict_counts_a_broken_should() -> None:
    with serving_raw(OneCaseBot()) as url:
        assert run_check(url, _OPTIONS).exit_code == 0
        strict = CheckOptions(rules=select_rules(rules=["auth"]), access_key=KEY, strict=True, times=_TIMES)
        assert run_check(url, strict).exit_code == 1


def test_a_baseline_that_is_stale() -> None:
    rules = select_rules(rules=["auth"])
    baseline = parse_baseline("# known\nauth.scheme-case  # since the first version\n\n")
    options = CheckOptions(rules=rules, access_key=KEY, strict=True, baseline=baseline, times=_TIMES)
    with serving_raw(OneCaseBot()) as url:
        report = run_check(url, options)
    assert (report.exit_code, report.stale, [result.is_expected for result in report.results if result.problems]) == (
        0, (), [True],
    )  # fmt: skip
    with serving_raw(SoundBot()) as url:
        report = run_check(url, options)
    assert (report.exit_code, report.stale) == (1, ("auth.scheme-case",))


def test_a_baseline_with_another_word() -> None:
    with pytest.raises(BaselineError, match="line 2 is not the id of a rule: 'auth'"):
        parse_baseline("auth.wrong-key\nauth\n")


def test_rules_that_depend_on_a_failed_answer_are_untestable() -> None:
    with serving_raw(StatusBot()) as url:
        report = run_check(url, _OPTIONS)
    verdicts = {result.rule.id: result.verdict for result in report.results}
    assert verdicts["reply.parallel"] is verdicts["event.json"] is Verdict.UNTESTABLE
    reasons = {result.rule.id: result.reason for result in report.results}
    assert reasons["reply.parallel"] == "the probe query got no usable answer: status 500"
    assert {"reply.parallel", "event.json", "reply.status"} <= {result.rule.id for result in report.findings}
    assert "event.index" not in {result.rule.id for result in report.findings}  # a SHOULD
    with serving_raw(NoSettingsBot()) as url:
        verdicts = {result.rule.id: result.verdict for result in run_check(url, _OPTIONS).results}
    assert verdicts["http.reuse"] is Verdict.UNTESTABLE


async def test_a_bug_of_a_probe_is_a_harness_error() -> None:
    async def fail(context: ProbeContext) -> None:
        raise KeyError("mistake")

    probes = (*(probe for probe in PROBES if probe.name != "get"), Probe("get", ("http.get",), fail))
    options = CheckOptions(rules=select_rules(rules=["http.get", "http.head"]), access_key=KEY, times=_TIMES)
    with serving_raw(SoundBot()) as url:
        report = await check(ServerAddress.of(url), options, probes=probes)
    assert report.exit_code == 3
    assert {result.rule.id: result.verdict for result in report.results} == {
        "http.get": Verdict.HARNESS_ERROR,
        "http.head": Verdict.PASS,
    }

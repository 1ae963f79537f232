"""Reports: every format says the same, and nothing shows the key."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any
from xml.etree import ElementTree as Xml

import pytest

from poeproto_check import FORMATS, CheckOptions, CheckReport, CheckTimes, NothingToCheck, select_rules
from poeproto_check.evidence_redaction import EvidenceRedaction

from ...support.bots import KEY
from ...support.broken_bots import BROKEN, EventsBot, LeakingBot, OneCaseBot, SettingsBot
from ...support.raw_bots import DONE, RawRequest, SoundBot, event, response, serving_raw
from .test_broken_bots import run_check

_RULES = select_rules(skip=["http.body-limit"])
_TIMES = CheckTimes(piece=0.001)


class HostileBot(SoundBot):
    """Writes control sequences and markup for terminals, XML, HTML and annotations."""

    TEXT = "\x1b]0;title\x07<script>alert(1)</script>]]>\r\n::error::x%0A\x00\u202e&amp;"

    def answer_report(self, kind: str) -> bytes:
        return response(500, self.TEXT.encode())

    def answer_settings(self) -> bytes:
        return response(200, json.dumps({"response_version": 2, self.TEXT: 1}).encode())


def report_on(bot: SoundBot, **options: Any) -> CheckReport:
    with serving_raw(bot) as url:
        return run_check(url, CheckOptions(rules=_RULES, access_key=KEY, times=_TIMES, **options))


@pytest.mark.parametrize("strict", [False, True])
def test_junit_and_json_agree(strict: bool) -> None:
    report = report_on(HostileBot(), strict=strict, baseline=frozenset({"report.error", "http.get"}))
    payload = json.loads(FORMATS["json"](report))
    root = Xml.fromstring(FORMATS["junit"](report))
    cases = {case.get("name"): case for case in root.iter("testcase") if case.get("classname") != "poeproto.baseline"}
    assert cases.keys() == {result["rule"] for result in payload["results"]}
    for result in payload["results"]:
        case = cases[result["rule"]]
        assert (case.find("failure") is not None) == result["is_finding"]
        assert (case.find("skipped") is not None) == (result["verdict"] == "not-applicable")
        assert (case.find("error") is not None) == (result["verdict"] == "harness-error")
    assert int(root.get("tests", "")) == len(payload["results"]) + len(payload["stale"])
    assert int(root.get("failures", "")) == sum(each["is_finding"] for each in payload["results"]) + 1
    assert payload["stale"] == ["http.get"]
    assert payload["exit_code"] == 1


@pytest.mark.parametrize("name", FORMATS)
def test_a_hostile_bot_controls_no_report(name: str) -> None:
    text = FORMATS[name](report_on(HostileBot()))
    assert text.isascii()
    assert not {character for character in text if not character.isprintable()} - {"\n"}
    assert "<script>" not in text or name in ("text", "json", "github")
    if name == "github":
        assert all(line.startswith(("::warning ", "::error ", "::notice ", "http:")) for line in text.splitlines())
        assert text.count("::error title") == 1


class SplitBot(LeakingBot):
    """Writes its responses byte by byte."""

    def respond(self, request: RawRequest) -> Iterable[bytes]:
        whole = b"".join(super().respond(request))
        return [bytes([byte]) for byte in whole] if b"401" in whole else [whole]


@pytest.mark.parametrize("name", FORMATS)
def test_no_report_shows_the_key(name: str) -> None:
    broken = [SplitBot(), OneCaseBot(), EventsBot(event(KEY, {KEY: KEY}), DONE), SettingsBot({KEY: KEY})]
    for bot in broken:
        report = report_on(bot, strict=True)
        assert report.findings
        text = FORMATS[name](report)
        assert KEY not in text
        assert KEY[:-1] not in text


class ChunkedBot(LeakingBot):
    """Cuts the key by chunks, at every byte or at one place."""

    def __init__(self, size: int) -> None:
        self.size = size

    def refuse(self, request: RawRequest) -> bytes | None:
        refusal = super().refuse(request)
        if refusal is None or b" 401 " not in refusal:
            return refusal
        body = refusal.partition(b"\r\n\r\n")[2]
        parts = [body[start : start + self.size] for start in range(0, len(body), self.size)]
        head = b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer\r\nTransfer-Encoding: chunked\r\n\r\n"
        return head + b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


@pytest.mark.parametrize("size", [1, 7, 17, 40])
def test_a_key_that_chunks_cut_is_found_and_hidden(size: int) -> None:
    options = CheckOptions(rules=select_rules(rules=["auth"]), access_key=KEY, times=_TIMES)
    with serving_raw(ChunkedBot(size)) as url:
        report = run_check(url, options)
    assert [result.rule.id for result in report.findings] == ["auth.key-leak"]
    for make in FORMATS.values():
        text = make(report)
        seen = "".join(re.split(r"(?:\\n|\s)+[0-9a-f]{1,3}(?:\\n|\s)+", text))
        assert not [start for start in range(len(KEY) - 8) if KEY[start : start + 8] in seen]


def test_a_key_in_the_path_of_the_url() -> None:
    bot = SoundBot()
    with serving_raw(bot) as url:
        options = CheckOptions(rules=select_rules(rules=["http.head"]), access_key=KEY, times=_TIMES)
        with pytest.raises(NothingToCheck, match="status 404") as caught:
            run_check(f"{url}{KEY}/bot", options)
    assert KEY not in str(caught.value)


def test_a_key_in_reads_that_were_cut_anywhere() -> None:
    redaction = EvidenceRedaction(KEY)
    data = b"a" + KEY.encode() + b"b"
    for cut in range(len(data) + 1):
        assert b"".join(redaction.reads([data[:cut], data[cut:]])) == b"a<hidden>b"
    reads = redaction.reads([bytes([byte]) for byte in data])
    assert len(reads) == len(data)
    assert b"".join(reads) == b"a<hidden>b"


def test_the_query_of_a_url_is_a_secret() -> None:
    with serving_raw(OneCaseBot()) as url:
        options = CheckOptions(rules=_RULES, access_key=KEY, strict=True, times=_TIMES)
        report = run_check(f"{url}?token=swordfish", options)
    assert report.findings
    assert "swordfish" not in "".join(make(report) for make in FORMATS.values())


def test_the_text_says_what_to_do() -> None:
    report = report_on(BROKEN["one case of the scheme"].bot())
    lines = FORMATS["text"](report).splitlines()
    assert lines[0] == "auth"
    assert lines[1] == "  warn            auth.scheme-case  [SHOULD, HTTP semantics (RFC 9110)]"
    assert lines[2] == "      the right key with the scheme bearer: status 401"
    assert any(line.startswith("      reproduce: curl ") and "$POE_ACCESS_KEY" in line for line in lines)
    assert lines[-1].startswith(f"{report.url}: ")

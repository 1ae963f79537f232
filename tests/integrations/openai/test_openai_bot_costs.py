"""`OpenAIBot` against a scripted endpoint on loopback: costs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from poeproto import Done, Error, Json, Text
from poeproto_openai import RateCard

from ...support.openai_bot_stage import CARD, CHARGED, USAGE, record, settings_of, stage
from ...support.scripted_peer import LAST_CHUNK, STREAM_HEAD, ScriptedServer, answering, chunk

pytestmark = pytest.mark.anyio


def granted(status: str = "success") -> bytes:
    return STREAM_HEAD + chunk(b'event: result\ndata: {"status": "%b"}\n\n' % status.encode()) + LAST_CHUNK


def amounts(poe: ScriptedServer) -> list[tuple[str, dict[str, Any]]]:
    found: list[tuple[str, dict[str, Any]]] = []
    for request in poe.requests:
        [item] = json.loads(request.body)["amounts"]
        found.append((request.line.split()[1].rpartition("/")[2], item))
    return found


async def test_an_upper_bound_is_authorised_and_the_reported_usage_is_captured() -> None:
    async with stage(answering(CHARGED), poe=answering(granted()), rate_card=CARD, max_tokens=2000) as here:
        *texts, usage, done = await here.answer()
        assert (texts, done) == ([Text("Hel"), Text("lo")], Done())
        assert isinstance(usage, Json)
        assert usage.data["usage"] == USAGE
        (first, authorised), (second, captured) = amounts(here.served.poe)
        assert (first, second) == ("authorize", "capture")
        # 600 + 400 cached + 500 tokens at 3, 0.3 and 15 dollars a million: 0.00942 dollars.
        assert captured == {"amount_usd_milli_cents": 942, "description": "1000 (400 cached) + 500 tokens"}
        assert authorised["amount_usd_milli_cents"] >= 2000 * 1.5
        assert here.body()["max_tokens"] == 2000
        assert (await settings_of(here.bot)).rate_card == (
            "| Type | Price |\n| --- | --- |\n| Input | $3 for 1 million tokens |\n"
            "| Cached input | $0.3 for 1 million tokens |\n| Output | $15 for 1 million tokens |"
        )


async def test_without_funds_no_request_is_sent() -> None:
    async with stage(poe=answering(granted("insufficient_balance")), rate_card=CARD, max_tokens=10) as here:
        [error, _] = await here.answer()
        assert isinstance(error, Error)
        assert error.error_type == "insufficient_fund"
        assert not here.endpoint.requests


@pytest.mark.parametrize("rule", ["free", "estimate"])
async def test_without_usage_the_rule_of_the_rate_card_holds_and_is_logged(
    rule: Any, caplog: pytest.LogCaptureFixture
) -> None:
    card = RateCard(input=100, output=100, without_usage=rule)
    async with stage(poe=answering(granted()), rate_card=card, max_tokens=10) as here:
        await here.answer()
        captured = [item for verb, item in amounts(here.served.poe) if verb == "capture"]
        assert "the endpoint reported no usage, so" in caplog.text
        if rule == "free":
            assert captured == []
            assert "nothing is charged" in caplog.text
        else:
            [item] = captured
            assert item["description"].startswith("estimated: ")
            assert "an estimate is charged" in caplog.text


async def test_a_reply_that_fails_costs_nothing() -> None:
    broken = STREAM_HEAD + chunk(record({"content": "a"}, usage=USAGE)) + LAST_CHUNK
    async with stage(answering(broken), poe=answering(granted()), rate_card=CARD, max_tokens=10) as here:
        _, error, _ = await here.answer()
        assert isinstance(error, Error)
        assert [verb for verb, _ in amounts(here.served.poe)] == ["authorize"]


async def test_a_free_model_makes_no_calls_of_poe() -> None:
    card = RateCard(input=0, output=0)
    async with stage(answering(CHARGED), rate_card=card, max_tokens=10) as here:
        await here.answer()
        assert not here.served.poe.requests


def test_attachments_count_in_the_upper_bound() -> None:
    card = RateCard(input=10, output=0, cached_input=20, attachment_tokens=100)
    item = card.upper_bound(50, 2, 10)
    assert item is not None
    assert item.amount_usd_milli_cents == 250 * 2


@pytest.mark.parametrize("wrong", [{"input": -1}, {"output": float("inf")}, {"without_usage": "guess"}])
def test_a_rate_card_that_is_invalid(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"^RateCard\."):
        wrong_card: dict[str, Any] = {"input": 1, "output": 1, **wrong}
        RateCard(**wrong_card)

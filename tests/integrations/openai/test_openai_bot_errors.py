"""`OpenAIBot` against a scripted endpoint on loopback: errors of the endpoint, and disconnects."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest

from poeproto import Done, Error, Text
from poeproto_h11 import Timeouts
from poeproto_openai import OpenAIBot, OpenAIGateway

from ...support.calling_bots import calling
from ...support.openai_bot_stage import API_KEY, END, HELLO, NO_POE, record, stage, streamed
from ...support.openai_gateway import chat, error_of
from ...support.scripted_peer import STREAM_HEAD, Peer, answering, chunk, response, scripted

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("status", "body", "retry", "words"),
    [
        (400, {"error": {"message": "bad tool"}}, False, "reported an error: bad tool"),
        (400, {"error": {"message": "no", "code": "content_filter"}}, False, "reported an error: no"),
        (400, {"error": {"message": "long", "code": "context_length_exceeded"}}, False, "long"),
        (401, {"error": {"message": f"Incorrect API key: {API_KEY}"}}, False, "refused the bot's API key"),
        (401, None, False, "refused the bot's API key"),
        (402, {"error": "pay"}, False, "no credit left"),
        (403, {"detail": "no"}, False, "does not allow the bot's API key"),
        (404, {"error": {"message": "no such model"}}, False, "no such model or path"),
        (408, None, True, "status 408"),
        (413, None, False, "status 413"),
        (429, {"error": {"message": "slow down"}}, True, "slow down"),
        (429, {"error": {"message": "pay", "code": "insufficient_quota"}}, False, "pay"),
        (500, {"error": {"message": f"boom {API_KEY}"}}, True, "boom <hidden>"),
        (502, None, True, "status 502"),
        (503, {"message": "warming up", "code": 1}, True, "warming up"),
        (301, None, False, "status 301"),
    ],
)
async def test_a_status_becomes_an_error(
    status: int, body: Any, retry: bool, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    content = b"<html>" if body is None else json.dumps(body).encode()
    with caplog.at_level(logging.DEBUG):
        async with stage(answering(response(status, content))) as here:
            error, done = await here.answer()
            assert done == Done()
            assert isinstance(error, Error)
            assert error.allow_retry is retry
            assert words in (error.text or "")
            assert error.raw_response["status"] == status
            assert len(here.endpoint.requests) == 1  # nothing is retried
        assert API_KEY not in repr(error)
    assert f"answered with status {status}" in caplog.text
    assert API_KEY not in caplog.text


@pytest.mark.parametrize("value", [API_KEY, f"Bearer {API_KEY}"])
async def test_a_key_in_an_extra_header_is_hidden_likewise(value: str, caplog: pytest.LogCaptureFixture) -> None:
    refusal = response(400, json.dumps({"error": {"message": f"wrong: {API_KEY}"}}).encode())
    broken = streamed(record({"content": "a"}), b'data: {"error": {"message": "wrong: %b"}}\n\n' % API_KEY.encode())
    with caplog.at_level(logging.DEBUG):
        for script in (refusal, broken):
            async with stage(answering(script), api_key=None, headers={"x-key": value}) as here:
                error = (await here.answer())[-2]
                assert here.endpoint.requests[0].all("x-key") == [value]
            assert isinstance(error, Error)
            assert "wrong: <hidden>" in (error.text or "")
            assert API_KEY not in repr(error)
    assert API_KEY not in caplog.text


@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after_is_kept(status: int) -> None:
    async with stage(answering(response(status, b'{"error": {"message": "later"}}', "Retry-After: 7"))) as here:
        error, _ = await here.answer()
        assert isinstance(error, Error)
        assert error.allow_retry
        assert (error.raw_response["retry_after"], error.raw_response["retry_after_seconds"]) == ("7", 7)
        assert error.text is not None
        assert error.text.endswith("It asks to wait 7 seconds before a retry.")


@pytest.mark.parametrize("retry_after", ["7", "a\\r\\nb", None])
async def test_a_gateway_before_the_bot_keeps_retry_after(retry_after: str | None) -> None:
    headers = [] if retry_after is None else [f"Retry-After: {retry_after}"]
    refused = response(429, b'{"error": {"message": "later"}}', *headers)
    async with scripted(answering(refused)) as endpoint, OpenAIBot(f"{endpoint.address}v1", "m") as bot:
        answer = await chat(OpenAIGateway({"bot": bot}, allow_without_key=True), stream=True)
        assert answer.status == 429
        assert answer.headers.get("retry-after") == (retry_after if retry_after == "7" else None)
        assert error_of(answer)["code"] == "rate_limit_exceeded"
        assert len(endpoint.requests) == 1


async def test_the_error_types_that_poe_knows() -> None:
    for code, error_type in (
        ("context_length_exceeded", "user_message_too_long"),
        ("content_filter", "user_caused_error"),
    ):
        body = json.dumps({"error": {"message": "no", "code": code}}).encode()
        async with stage(answering(response(400, body))) as here:
            error, _ = await here.answer()
            assert isinstance(error, Error)
            assert error.error_type == error_type


async def hangs_up(peer: Peer) -> None:
    await peer.read_request()


async def resets(peer: Peer) -> None:
    await peer.answer(STREAM_HEAD + chunk(HELLO[1]))


async def test_an_endpoint_without_an_answer(caplog: pytest.LogCaptureFixture) -> None:
    async with stage(hangs_up) as here:
        error, _ = await here.answer()
        assert error == Error(text="The model's endpoint cannot be reached at the moment.")
    async with OpenAIBot("http://127.0.0.1:1/v1", "m") as bot, calling(bot, NO_POE) as served:
        error, _ = await served.answer()
        assert error == Error(text="The model's endpoint cannot be reached at the moment.")
    assert "no connection to http://127.0.0.1:1" in caplog.text


async def test_an_answer_that_breaks_off() -> None:
    async with stage(resets) as here:
        text, error, done = await here.answer()
        assert (text, done) == (Text("Hel"), Done())
        assert isinstance(error, Error)
        assert error.allow_retry
        assert "peer closed the connection" in error.raw_response["reason"]
        assert len(here.endpoint.requests) == 1


async def test_an_endpoint_that_stops_sending() -> None:
    async def silent(peer: Peer) -> None:
        await peer.answer(STREAM_HEAD + chunk(HELLO[1]))
        await peer.until_left()

    async with stage(silent, timeouts=Timeouts(idle=0.05)) as here:
        _, error, _ = await here.answer()
        assert isinstance(error, Error)
        assert "idle timeout" in error.raw_response["reason"]


@pytest.mark.parametrize("count", range(5))
async def test_a_connection_cut_after_any_chunk_is_an_error(count: int) -> None:
    records = [*HELLO, *END]

    async def cut(peer: Peer) -> None:
        await peer.answer(STREAM_HEAD + b"".join(map(chunk, records[:count])))

    async with stage(cut) as here:
        *_, error, done = await here.answer()
        assert isinstance(error, Error)
        assert error.allow_retry
        assert done == Done()


@pytest.mark.parametrize("head", ["Content-Type: text/plain", "Content-Type: application/json"])
async def test_a_complete_response_whatever_its_content_type(head: str) -> None:
    whole = {"choices": [{"message": {"content": "Hello"}, "finish_reason": "stop"}]}
    async with stage(answering(response(200, json.dumps(whole).encode(), head))) as here:
        assert await here.answer() == [Text("Hello"), Done()]


async def test_an_answer_that_is_compressed() -> None:
    async with stage(answering(response(200, b"\x1f\x8b", "Content-Encoding: gzip"))) as here:
        error, _ = await here.answer()
        assert isinstance(error, Error)
        assert error.raw_response == {"status": 200}


async def a_disconnect_closes_the_connection(endpoint: Callable[[Peer], Awaitable[None]]) -> None:
    async with stage(endpoint) as here, anyio.create_task_group() as tasks:
        scope = anyio.CancelScope()

        async def ask() -> None:
            with scope:
                await here.answer()

        tasks.start_soon(ask)
        await here.endpoint.until_asked()
        await anyio.wait_all_tasks_blocked()
        scope.cancel()
        with anyio.fail_after(1):
            await here.endpoint.until_closed(1)


async def test_a_disconnect_closes_the_connection_to_the_endpoint() -> None:
    async def starts(peer: Peer) -> None:
        await peer.answer(STREAM_HEAD + chunk(HELLO[1]))
        await peer.until_left()

    await a_disconnect_closes_the_connection(starts)


async def test_a_disconnect_before_the_response_closes_the_connection() -> None:
    async def says_nothing(peer: Peer) -> None:
        await peer.read_request()
        await peer.until_left()

    await a_disconnect_closes_the_connection(says_nothing)

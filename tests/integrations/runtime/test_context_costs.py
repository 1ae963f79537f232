"""The context's calls that charge the user."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import anyio
import attrs
import pytest

from poeproto import (
    Context,
    CostItem,
    Done,
    Error,
    IncompleteReply,
    InsufficientFunds,
    LocalProtocolError,
    QueryRequest,
    Text,
)

from ...support.bots import KEY
from ...support.calling_bots import QUERY, CallingBot, calling
from ...support.scripted_peer import LAST_CHUNK, STREAM_HEAD, answering, chunk

pytestmark = pytest.mark.anyio


def granted(status: str = "success") -> bytes:
    """Poe's response to a cost."""
    return STREAM_HEAD + chunk(b'event: result\ndata: {"status": "%b"}\n\n' % status.encode()) + LAST_CHUNK


async def works(request: QueryRequest, context: Context) -> AsyncIterator[str]:
    await context.authorize_cost(CostItem(1000, "thinking"), CostItem(2.5))
    yield "worked"
    await context.capture_cost(CostItem(900))


async def test_a_cost_is_authorised_and_captured() -> None:
    async with calling(CallingBot(works), answering(granted())) as served:
        assert await served.answer() == [Text("worked"), Done()]
        first, second = served.poe.requests
        assert (first.line, second.line) == (
            "POST /bot/cost/q-1/authorize HTTP/1.1",
            "POST /bot/cost/q-1/capture HTTP/1.1",
        )
        assert json.loads(first.body) == {
            "amounts": [
                {"amount_usd_milli_cents": 1000, "description": "thinking"},
                {"amount_usd_milli_cents": 3},
            ],
            "access_key": KEY,
        }
        assert served.opened == 1


def assert_has_no_funds(error: object) -> None:
    assert isinstance(error, Error)
    assert error.error_type == "insufficient_fund"
    assert not error.allow_retry
    assert error.text


async def test_a_user_without_funds(caplog: pytest.LogCaptureFixture) -> None:
    async with calling(CallingBot(works), answering(granted("insufficient_funds"))) as served:
        error, done = await served.answer()
        assert_has_no_funds(error)
        assert done == Done()
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def test_funds_that_end_during_a_reply_and_in_a_task() -> None:
    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        yield "worked"
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(context.capture_cost, CostItem(1))
            await anyio.sleep_forever()

    async with calling(CallingBot(bot), answering(granted("nothing_left"))) as served:
        text, error, done = await served.answer()
        assert (text, done) == (Text("worked"), Done())
        assert_has_no_funds(error)


async def test_insufficient_funds_of_the_bots_own_accounting() -> None:
    async def bot(request: QueryRequest, context: Context) -> str:
        raise InsufficientFunds("the quota is used up", status="quota")

    async with calling(CallingBot(bot), answering(granted())) as served:
        assert_has_no_funds((await served.answer())[0])


async def test_a_bot_may_continue_without_the_cost() -> None:
    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        with pytest.raises(InsufficientFunds) as caught:
            await context.authorize_cost(CostItem(1))
        yield caught.value.status

    async with calling(CallingBot(bot), answering(granted("no"))) as served:
        assert await served.answer() == [Text("no"), Done()]


async def test_an_answer_that_is_cut_short_is_not_a_lack_of_funds(caplog: pytest.LogCaptureFixture) -> None:
    async with calling(CallingBot(works), answering(STREAM_HEAD + LAST_CHUNK)) as served:
        error, _ = await served.answer()
        assert isinstance(error, Error)
        assert error.error_type is None
    assert IncompleteReply.__name__ in caplog.text


async def test_a_query_that_nobody_can_be_charged_for() -> None:
    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        with pytest.raises(LocalProtocolError, match="has no bot_query_id"):
            await context.authorize_cost(CostItem(1))
        yield "free"

    async with calling(CallingBot(bot), answering(granted())) as served:
        assert await served.answer(attrs.evolve(QUERY, bot_query_id="")) == [Text("free"), Done()]


async def test_an_empty_list_is_not_a_cost() -> None:
    async def bot(request: QueryRequest, context: Context) -> AsyncIterator[str]:
        with pytest.raises(LocalProtocolError, match="no items to charge"):
            await context.authorize_cost()
        yield "free"

    async with calling(CallingBot(bot), answering(granted())) as served:
        assert await served.answer() == [Text("free"), Done()]

"""Feedback and reactions of users, and reports to bots."""

from __future__ import annotations

from typing import Any

import pytest

from poeproto import (
    Context,
    Endpoints,
    Reaction,
    ReportErrorRequest,
    ReportFeedbackRequest,
    ReportReactionRequest,
    Request,
)
from poeproto_asgi import BotApp
from poeproto_h11 import Client
from poeproto_simulator import Echo, HTTPError, Simulator

from ...support.bots import KEY
from ...support.hypercorn_servers import serving

pytestmark = pytest.mark.anyio


class Listening(Echo):
    """Records its reports."""

    def __init__(self) -> None:
        super().__init__()
        self.got: list[Request] = []

    async def on_feedback(self, request: ReportFeedbackRequest, context: Context) -> None:
        self.got.append(request)

    async def on_reaction(self, request: ReportReactionRequest, context: Context) -> None:
        self.got.append(request)

    async def on_error(self, request: ReportErrorRequest, context: Context) -> None:
        self.got.append(request)


@pytest.mark.parametrize("remote", [True, False])
async def test_reports_reach_the_bot(remote: bool) -> None:
    bot = Listening()
    async with serving(BotApp(bot, access_key=KEY)) as url, Simulator() as simulator:
        simulator.register("Cat", url if remote else bot, access_key=KEY)
        reply = await simulator.say("Cat", "hello")
        await simulator.report_feedback(reply.message_id, "like", "so kind")
        await simulator.report_reaction(reply.message_id, "❤️")
        await simulator.report_reaction(reply.message_id, "laughing")
        await simulator.report_reaction(reply.message_id, "laughing", "removed")
        await simulator.report_error("Cat", "too quiet", {"level": 3})
        again = await simulator.say("Cat", "hello", conversation=reply)
    request = reply.query.request
    user_id, conversation_id = request.user_id, request.conversation_id
    assert bot.got == [
        ReportFeedbackRequest(reply.message_id, user_id, conversation_id, "like"),
        ReportReactionRequest(reply.message_id, user_id, conversation_id, "❤️", extra={"action": "added"}),
        ReportReactionRequest(reply.message_id, user_id, conversation_id, "laughing", extra={"action": "added"}),
        ReportReactionRequest(reply.message_id, user_id, conversation_id, "laughing", extra={"action": "removed"}),
        ReportErrorRequest("too quiet", {"level": 3}),
    ]
    message = again.query.request.query[1]
    assert [(feedback.type, feedback.reason) for feedback in message.feedback] == [("like", "so kind")]
    assert message.reactions == [Reaction(user_id, "heart")]
    kinds = [report["type"] for report in simulator.reports]
    assert kinds == ["report_feedback", *["report_reaction"] * 3, "report_error"]
    assert all(report["bot"] == "Cat" and report["failure"] is None for report in simulator.reports)


async def test_reports_are_forwarded_to_a_server() -> None:
    bot = Listening()
    feedback = ReportFeedbackRequest("m", "u", "c", "like")
    reaction = ReportReactionRequest("m", "u", "c", "heart")
    error = ReportErrorRequest("no")
    simulator = Simulator()
    async with serving(BotApp(bot, access_key=KEY)) as url, simulator.serving() as address:
        simulator.register("Cat", url, access_key=KEY)
        async with Client("mine", endpoints=Endpoints.at(address)) as client:
            await client.report_feedback("Cat", feedback)
            await client.report_reaction("Cat", reaction)
            await client.report_error("Cat", error)
    assert bot.got == [feedback, reaction, error]


async def test_a_report_that_does_not_arrive() -> None:
    async with Simulator() as simulator:
        simulator.register("Down", "http://127.0.0.1:9/")
        await simulator.report_error("Down", "where are you?")
    (report,) = simulator.reports
    assert report["failure"].startswith("no connection to")


async def test_feedback_on_unknown_messages() -> None:
    async with Simulator() as simulator:
        reply = await simulator.say("Cat", "hello")
        for message_id in ("m-1", reply.conversation.messages[0].message_id):
            with pytest.raises(HTTPError, match="no bot has written a message") as caught:
                await simulator.report_feedback(message_id, "like")
            assert caught.value.status == 404


async def test_log_listeners() -> None:
    entries: list[Any] = []
    async with Simulator() as simulator:
        simulator.engine.on_log.append(entries.append)
        await simulator.say("Cat", "hello")
    assert [entry.kind for entry in entries] == ["query", "reply"]
    assert [entry.number for entry in entries] == [1, 2]
    assert entries == list(simulator.engine.log)

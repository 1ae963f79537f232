"""Examples of bots that call others, end to end over HTTP."""

from __future__ import annotations

import pytest

from poeproto import Text
from poeproto_simulator import Canned

from .stage import playing

pytestmark = pytest.mark.anyio


async def test_calling_a_bot() -> None:
    async with playing("calling_a_bot", {"GPT-4o-Mini": Canned([Text("Hello, "), Text("human.")])}) as stage:
        reply = await stage.say("hello")
    assert reply.final_text() == "Hello, human."

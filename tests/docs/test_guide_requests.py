"""Examples of bots that read the other fields of a query, end to end over HTTP."""

from __future__ import annotations

import json

import pytest

from poeproto import AspectRatio, ParameterControls, ToggleSwitch, encode_settings
from poeproto.lint import lint_settings
from poeproto_simulator import Canned

from ..support.bots import KEY
from ..support.example_stage import NAME, playing, settings_of

pytestmark = pytest.mark.anyio


class TestMetadata:
    async def test_the_metadata_is_in_the_next_query(self) -> None:
        async with playing("remembering") as stage:
            reply = await stage.say("How do I make an omelette?")
            assert reply.final_text() == "1. Whisk four eggs with a pinch of salt."
            assert json.loads(reply.metadata or "") == {"steps_read": 1}
            replies = [reply]
            for _ in range(3):
                replies.append(await stage.say("And then?", conversation=reply))
            again = await stage.say("Once more.", conversation=reply)
        assert [reply.text[:2] for reply in replies] == ["1.", "2.", "3.", "Th"]
        assert again.text.startswith("1. ")
        stored = [message.metadata for message in again.query.request.query if message.role == "bot"]
        assert [json.loads(metadata or "")["steps_read"] for metadata in stored] == [1, 2, 3, 0]

    async def test_conversations_are_apart_and_so_are_bots(self) -> None:
        async with playing("remembering", {"Other": Canned("I am another.")}) as stage:
            reply = await stage.say("go on")
            assert (await stage.say("go on")).text.startswith("1.")  # another conversation
            await stage.poe.say("Other", "hello", conversation=reply)
            assert (await stage.say("go on", conversation=reply)).text.startswith("2.")


class TestHttpRequest:
    async def test_every_part_of_the_http_request_is_shown(self) -> None:
        async with playing("http_request") as stage:
            # The address as it might have been given to Poe.
            stage.poe.register(NAME, f"{stage.url}?team=red&team=blue%20sky", access_key=KEY)
            lines = (await stage.say("hello")).final_text().splitlines()
        assert lines[:2] == ["POST /", "team: red, blue sky"]
        assert lines[2].startswith("asked by ")
        assert lines[2].endswith(" at 127.0.0.1")
        assert KEY not in "".join(lines)


class TestParameterControls:
    async def test_the_settings_as_poe_stores_them(self) -> None:
        async with playing("parameter_controls") as stage:
            settings = await settings_of(stage)
            assert stage.poe.settings_of(NAME) == settings
            assert settings.parameter_controls == ParameterControls([stage.module.CARD, stage.module.SENDING])
        assert settings.parameter_controls is not None
        assert not lint_settings(encode_settings(settings))
        controls = dict(settings.parameter_controls.walk())
        # Every kind there is.
        assert sorted(control.control for control in controls.values()) == [
            "aspect_ratio",
            "condition",
            "divider",
            "drop_down",
            "slider",
            "text_area",
            "text_field",
            "toggle_switch",
        ]
        aspect_ratio = controls["sections[0].controls[0]"]
        assert isinstance(aspect_ratio, AspectRatio)
        assert [option.effective_value for option in aspect_ratio.options] == ["3:2", "square"]
        assert isinstance(controls["sections[1].tabs[1].controls[0]"], ToggleSwitch)

    async def test_the_values_are_in_the_message(self) -> None:
        chosen = {
            "recipient": "Ann",
            "closing": "Yours,\nBen",
            "format": "square",
            "stamp": "gull",
            "by_air": True,
            "days": 2,
        }
        async with playing("parameter_controls") as stage:
            reply = await stage.say("The sea is {blue}.", parameters=chosen)
        assert reply.final_text() == (
            "To Ann:\nThe sea is {blue}.\nYours,\nBen\n(square, with a gull on the stamp, by air in 2 days)"
        )

    async def test_without_values(self) -> None:
        async with playing("parameter_controls") as stage:
            reply = await stage.say("Hello.")
        assert reply.final_text() == (
            "To whoever finds it:\nHello.\nLove from the sea\n(3:2, with a whale on the stamp, by ship)"
        )

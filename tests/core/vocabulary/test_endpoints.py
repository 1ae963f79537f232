"""The URLs of Poe."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poeproto import Endpoints


def test_endpoints_do_not_show_credentials() -> None:
    shown = repr(Endpoints("https://me:the-key@h/x", "http://h:1/root"))
    assert shown == "Endpoints(api='https://h/…', files='http://h:1/root')"
    assert repr(Endpoints.at("https://h?key=the-key")) == "Endpoints(api='https://h/…', files='https://h/…')"


def test_the_addresses_of_poe() -> None:
    assert Endpoints().api == "https://api.poe.com"
    assert Endpoints().files == "https://www.quora.com"
    assert Endpoints().bot("GPT-4o") == "https://api.poe.com/bot/GPT-4o"


@pytest.mark.parametrize("root", ["http://127.0.0.1:8000", "http://127.0.0.1:8000/", "http://127.0.0.1:8000//"])
def test_a_simulator_stands_in_for_both(root: str) -> None:
    endpoints = Endpoints.at(root)
    assert endpoints.api == endpoints.files == "http://127.0.0.1:8000"
    assert endpoints.bot("x") == "http://127.0.0.1:8000/bot/x"


@given(st.text(min_size=1).filter(lambda name: name not in (".", "..")))
def test_a_bot_name_is_one_segment_of_the_path(name: str) -> None:
    segment = Endpoints().bot(name).removeprefix("https://api.poe.com/bot/")
    assert segment
    assert not set(segment) & set("/?#\\ ")
    assert segment.isascii()


@pytest.mark.parametrize("name", ["", ".", "..", "\ud83d"])
def test_a_text_that_is_not_a_name_has_no_address(name: str) -> None:
    with pytest.raises(ValueError):
        Endpoints().bot(name)


def test_costs_are_charged_under_a_query() -> None:
    assert Endpoints().cost("authorize", "q/1") == "https://api.poe.com/bot/cost/q%2F1/authorize"
    with pytest.raises(ValueError, match="bot_query_id"):
        Endpoints().cost("capture", "")

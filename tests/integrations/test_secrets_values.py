"""The representations of values that hold a key, and the errors about invalid keys."""

from __future__ import annotations

import importlib
import inspect
import json
import pickle
import pkgutil
from collections.abc import Callable
from typing import Any

import attrs
import pytest

import poeproto
from poeproto import (
    Bot,
    BotExchange,
    CostItem,
    Endpoints,
    HttpRequest,
    HttpResponse,
    Limits,
    PoeExchange,
    QueryRequest,
    RequestHead,
    ResponseHead,
    SettingsResponse,
    UnknownRequest,
    decode_request,
    encode_request,
)
from poeproto.auth import access_key_set
from poeproto.flows import (
    CostExchange,
    SendRequest,
    authorize_cost_request,
    call_flow,
    fetch_settings_request,
    query_flow,
    update_settings_request,
    upload_by_url_request,
    upload_request,
)
from poeproto.testing import ExchangePair
from poeproto_asgi import AppOptions, BotApp, FetchPolicy
from poeproto_cli.load_query import write_query
from poeproto_h11 import BlockingClient, Client
from poeproto_openai import OpenAIBot, OpenAIGateway, UpstreamBot
from poeproto_runtime import BotService, Observation, Route
from poeproto_runtime.client.urls import split_url
from poeproto_runtime.context import RequestContext
from poeproto_simulator import Account, RegisteredBot, Simulator

from ..support.calling_bots import QUERY
from ..support.canary import BEARER_CANARY, CANARY, all_of, all_of_failure, all_within, assert_hidden

PACKAGES = (
    "poeproto",
    "poeproto_runtime",
    "poeproto_h11",
    "poeproto_asgi",
    "poeproto_simulator",
    "poeproto_cli",
    "poeproto_openai",
)
# Fields named after a key that hold no key, by class.
NO_KEYS = {
    ("AppOptions", "allow_without_key"),
    ("Document", "key"),
    ("Probe", "needs_key"),
    ("Redaction", "body_keys"),
    ("Redaction", "query_keys"),
}

SENT = [("authorization", BEARER_CANARY)]
REPEATED = [("x-echo", CANARY), ("content-type", f"text/{CANARY}"), ("location", f"https://h/?{CANARY}")]
URL = f"https://user:{CANARY}@bot.invalid/{CANARY}?key={CANARY}#{CANARY}"


def simulator() -> Simulator:
    simulator = Simulator(api_key=CANARY)
    simulator.register("Bot", Bot(), access_key=CANARY)
    simulator.engine.add_user("Somebody", api_key=CANARY)
    return simulator


def observation(head: RequestHead) -> Observation:
    fields = dict.fromkeys((field.name for field in attrs.fields(Observation)), None)
    return Observation(**{**fields, "http_request": head})  # type: ignore[arg-type]


HEAD = RequestHead("POST", f"/bot/update_settings/Bot/{CANARY.replace('/', '%2F')}/1.2?key={CANARY}", SENT + REPEATED)

HOLDERS: dict[str, Callable[[], Any]] = {
    "Client": lambda: Client(CANARY, access_key=CANARY),
    "BlockingClient": lambda: BlockingClient(CANARY, access_key=CANARY),
    "Reply": lambda: Client(CANARY).query("Bot", "hello"),
    "BlockingReply": lambda: BlockingClient(access_key=CANARY).query("http://bot.invalid", "hello"),
    "BotApp": lambda: BotApp(Bot(), access_key=CANARY),
    "Route": lambda: Route(Bot(), access_key=[CANARY, "another"]),
    "BotService": lambda: BotService({"/": Route(Bot(), access_key=CANARY)}),
    "Context": lambda: RequestContext(HEAD, Route(Bot(), access_key=CANARY), Limits()),
    "AppOptions": lambda: AppOptions(access_key=CANARY, environment_key=CANARY, endpoints=Endpoints.at(URL)),
    "Observation": lambda: observation(HEAD),
    "BotExchange": lambda: BotExchange({CANARY}),
    "PoeExchange": lambda: PoeExchange(CANARY),
    "CostExchange": lambda: CostExchange(CANARY),
    "ExchangePair": lambda: ExchangePair(access_key=CANARY),
    "RequestHead": lambda: HEAD,
    "ResponseHead": lambda: ResponseHead(200, REPEATED),
    "HttpRequest": lambda: HttpRequest("POST", URL, SENT + REPEATED, CANARY.encode()),
    "HttpResponse": lambda: HttpResponse(200, REPEATED, CANARY.encode()),
    "query": lambda: PoeExchange(CANARY).send(QUERY, "https://bot.invalid/"),
    "settings": lambda: update_settings_request("Bot", SettingsResponse(), access_key=CANARY),
    "fetch settings": lambda: fetch_settings_request("Bot", access_key=CANARY),
    "cost": lambda: authorize_cost_request(CostItem(5, "x"), bot_query_id="q", access_key=CANARY),
    "upload by URL": lambda: upload_by_url_request("https://f.invalid/", access_key=CANARY),
    "upload": lambda: upload_request(
        None, size=1, name="a", content_type="a/b", access_key=CANARY, boundary="b", repeatable=True
    ),
    "SendRequest": lambda: SendRequest(fetch_settings_request("Bot", access_key=CANARY)),
    "flow": lambda: query_flow(QUERY, "https://bot.invalid/", access_key=CANARY),
    "effect": lambda: next(query_flow(QUERY, "https://bot.invalid/", access_key=CANARY)),
    "call": lambda: next(call_flow(fetch_settings_request("Bot", access_key=CANARY))),
    "Endpoints": lambda: Endpoints.at(URL),
    "Simulator": simulator,
    "Poe": lambda: simulator().engine,
    "bots": lambda: simulator().engine.bots,
    "users": lambda: simulator().engine.users,
    "RegisteredBot": lambda: RegisteredBot(name="Bot", access_key=CANARY, url=URL),
    "Account": lambda: Account("u", "Somebody", CANARY, 5),
    "OpenAIBot": lambda: OpenAIBot("https://h.invalid/v1", "m", CANARY),
    "OpenAIGateway": lambda: OpenAIGateway({"Bot": UpstreamBot(URL, access_key=CANARY)}, api_keys=[CANARY]),
    "UpstreamBot": lambda: UpstreamBot(URL, access_key=CANARY),
    "load": lambda: write_query("https://bot.invalid/", QUERY, CANARY),
}


@pytest.mark.parametrize("name", HOLDERS)
def test_objects_that_hold_a_key_do_not_show_it(name: str) -> None:
    assert_hidden(*all_of(HOLDERS[name]()))


def test_every_field_for_a_key_is_out_of_the_repr() -> None:
    found: set[str] = set()
    for package in map(
        importlib.import_module, (*PACKAGES, "poeproto_record", "poeproto_check", "poeproto_playground")
    ):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if module.name.endswith("__main__"):
                continue
            for _, cls in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
                for field in attrs.fields(cls) if attrs.has(cls) else ():
                    is_key = field.name == "key" or field.name.endswith(("_key", "_keys"))
                    if is_key and (cls.__name__, field.name) not in NO_KEYS:
                        found.add(f"{cls.__name__}.{field.name}")
                        assert field.repr is False, f"{cls.__name__}.{field.name}"
    assert found == {
        "_Query.access_key",
        "AppOptions.access_key",
        "AppOptions.environment_key",
        "Account.api_key",
        "RegisteredBot.access_key",
        "CheckOptions.access_key",
        "Plan.access_key",
        "UpstreamBot.access_key",
        "ProbeContext.access_key",
        "PlayedBot.access_key",
    }


def test_a_class_that_takes_a_key_is_among_those_that_are_tried() -> None:
    for package in map(importlib.import_module, PACKAGES):
        for name in getattr(package, "__all__", ()):
            value = getattr(package, name)
            if inspect.isclass(value) and {"access_key", "access_keys", "api_key"} & set(_parameters(value)):
                assert name in HOLDERS, name


def _parameters(cls: type) -> list[str]:
    try:
        return list(inspect.signature(cls).parameters)
    except ValueError:
        return []


# --- keys in bodies, where fastapi_poe's clients put them

BODIES: dict[str, dict[str, Any]] = {
    "query": {"query": [{"role": "user", "content": "hello"}]},
    "settings": {},
    "report_feedback": {"message_id": "m", "user_id": "u", "conversation_id": "c", "feedback_type": "like"},
    "report_reaction": {"message_id": "m", "user_id": "u", "conversation_id": "c", "reaction": "+1"},
    "report_error": {"message": "m", "metadata": {}},
    "something_new": {"more": 1},
}


@pytest.mark.parametrize("kind", BODIES)
@pytest.mark.parametrize("key", ["access_key", "api_key"])
@pytest.mark.parametrize("value", [CANARY, [CANARY], {"key": CANARY}, {CANARY: None}])
def test_a_key_in_a_body_is_dropped(kind: str, key: str, value: object) -> None:
    body = {"version": "1.2", "type": kind, **BODIES[kind], key: value, "unknown": "kept"}
    request = decode_request(json.dumps(body))
    assert request.extra["unknown"] == "kept"
    assert_hidden(*all_within(request))
    if not isinstance(request, UnknownRequest):
        # Nor is a key forwarded that was put there by hand.
        again = attrs.evolve(request, extra={**request.extra, key: value})
        assert_hidden(encode_request(again), *all_within(decode_request(encode_request(again))))


@pytest.mark.parametrize("broken", ["{", '{"type": 5}', '{"type": "query"}', '{"type": "query", "query": 5}', "[]"])
def test_a_body_that_is_refused_is_not_repeated(broken: str) -> None:
    body = broken[:-1] + (", " if ":" in broken else "") + f'"access_key": {json.dumps(CANARY)}, "n": [{{}}' + "}"
    exchange = BotExchange(None)
    exchange.receive_head(RequestHead("POST", "/", SENT))
    exchange.receive_data(body.encode())
    with pytest.raises(poeproto.RemoteProtocolError) as caught:
        exchange.receive_eof()
    assert caught.value.response is not None
    assert_hidden(*all_of_failure(caught.value), caught.value.response.body)


# --- invalid keys

MADE_UNUSABLE = [f"{CANARY} ", f"{CANARY}\n", f"{CANARY}\0", f"{CANARY}é", f"{CANARY}🐈", f" {CANARY}"]

TAKE_KEYS: dict[str, Callable[[Any], object]] = {
    "Route": lambda bad: Route(Bot(), access_key=bad),
    "BotApp": lambda bad: BotApp(Bot(), access_key=["fine", bad]),
    "BotExchange": lambda bad: BotExchange([bad]),
    "PoeExchange": lambda bad: PoeExchange(bad),
    "Client": lambda bad: Client(access_key=bad).query("http://bot.invalid/", "hello"),
    "BlockingClient": lambda bad: BlockingClient(bad).query("Bot", "hello").__enter__(),
    "upload": lambda bad: upload_by_url_request("https://f.invalid/", access_key=bad),
    "cost": lambda bad: authorize_cost_request(CostItem(1, "x"), bot_query_id="q", access_key=bad),
    "RegisteredBot": lambda bad: RegisteredBot(name="Bot", access_key=bad),
}

UNUSABLE: dict[str, Callable[[], object]] = {
    "a surrogate": lambda: fetch_settings_request("Bot", access_key=f"{CANARY}\ud800"),
    "bytes": lambda: Route(Bot(), access_key=CANARY.encode()),  # type: ignore[arg-type]
    "a list of lists": lambda: Route(Bot(), access_key=[[CANARY]]),  # type: ignore[list-item]
    "not set": lambda: BotApp(Bot(), access_key=[None, CANARY]),  # type: ignore[list-item]
    "a header": lambda: HttpRequest("GET", "https://h/", [("authorization", f"{CANARY}🐈")]),
    "a header of another type": lambda: HttpRequest("GET", "https://h/", [("authorization", [CANARY])]),  # type: ignore[list-item]
    "a URL": lambda: split_url(URL),
    "a URL's path": lambda: split_url(f"ftp://h/{CANARY}"),
    "a URL's host": lambda: split_url(f"https://{CANARY} /"),
    "a URL's port": lambda: split_url(f"https://h:{CANARY}"),
    "a URL without a slash": lambda: split_url(f"https:/user:{CANARY}@h/"),
    "a URL with a surrogate": lambda: split_url(f"https://h/?key={CANARY}\ud800"),
    "a scheme": lambda: split_url(f"{CANARY}://h"),
    "an origin": lambda: FetchPolicy(origins=[f"https://user:{CANARY}@h"]),
    "one origin": lambda: FetchPolicy(origins=f"https://h/?{CANARY}"),
    "simulator": lambda: Simulator(fetch_origins=[f"https://user:{CANARY}@h"]),
}  # fmt: skip


@pytest.mark.parametrize("name", TAKE_KEYS)
@pytest.mark.parametrize("bad", MADE_UNUSABLE)
def test_a_key_that_cannot_be_sent_is_refused_without_being_shown(name: str, bad: str) -> None:
    with pytest.raises((ValueError, poeproto.LocalProtocolError)) as caught:
        TAKE_KEYS[name](bad)
    assert_hidden(*all_of_failure(caught.value))


@pytest.mark.parametrize("name", UNUSABLE)
def test_an_invalid_key_is_refused_without_being_shown(name: str) -> None:
    with pytest.raises((ValueError, TypeError, poeproto.LocalProtocolError)) as caught:
        UNUSABLE[name]()
    assert_hidden(*all_of_failure(caught.value))


def test_options_are_passed_to_workers_with_their_keys() -> None:
    options = AppOptions(access_key=CANARY)
    assert pickle.loads(pickle.dumps(options)) == options
    assert_hidden(*all_of(pickle.loads(pickle.dumps(options))))
    assert access_key_set(CANARY) == {CANARY.encode()}


def test_a_query_that_a_bot_forwards_has_no_key() -> None:
    forwarded = QueryRequest([], extra={"access_key": CANARY, "api_key": CANARY, "more": 1})
    assert_hidden(PoeExchange().send(forwarded, "https://bot.invalid/").body)

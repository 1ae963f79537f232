from __future__ import annotations

import json

import pytest

from poeproto import BotExchange, RemoteProtocolError, RequestHead, decode_request, encode_request

from ...support.vectors import Case, cases, name_of, ways_to_cut, wire_of

HEAD = RequestHead("POST", "/", [("content-type", "application/json")])


@pytest.mark.parametrize("case", cases("requests.json"), ids=name_of)
def test_bodies(case: Case) -> None:
    body = wire_of(case)
    meant = json.loads(encode_request(decode_request(body))) if "request" in case else None
    if meant is not None:
        assert meant == case["request"]
        assert json.loads(encode_request(decode_request(json.dumps(meant)))) == meant
    for parts in ways_to_cut(body):
        exchange = BotExchange(None)
        exchange.receive_head(HEAD)
        for part in parts:
            exchange.receive_data(part)
        if meant is None:
            with pytest.raises(RemoteProtocolError) as caught:
                exchange.receive_eof()
            assert caught.value.response is not None
            assert caught.value.response.status == case["error"]["status"]
            assert caught.value.path == case["error"]["path"]
        else:
            assert exchange.receive_eof() == decode_request(body)

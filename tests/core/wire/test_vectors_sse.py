from __future__ import annotations

import pytest

from poeproto import ServerSentEvent, SSEDecoder

from ...support.vectors import Case, cases, name_of, ways_to_cut, wire_of


@pytest.mark.parametrize("case", cases("sse.json"), ids=name_of)
def test_records(case: Case) -> None:
    expected = [
        ServerSentEvent(each.get("event", "message"), each["data"], each.get("id", ""), each.get("retry"))
        for each in case["records"]
    ]
    without_data = frozenset(case.get("dispatch_without_data", ()))
    for parts in ways_to_cut(wire_of(case)):
        decoder = SSEDecoder(dispatch_without_data=without_data)
        records = [record for part in parts for record in decoder.receive_data(part)]
        assert records + decoder.receive_eof() == expected, parts
        assert decoder.error is None, parts

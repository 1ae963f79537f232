"""How deep JSON may nest, decoding and encoding."""

from __future__ import annotations

import contextlib
import inspect
import json
import sys
from typing import Any

import pytest

from poeproto import LocalProtocolError, RemoteProtocolError
from poeproto.wire.json import _decode_shallow, _loads_general, dumps, loads

from ...support.vectors import Case, cases, name_of


@pytest.mark.parametrize("bottom", ["x", "\ud83d"], ids=["without a surrogate", "with a surrogate"])
def test_deep_nesting_is_refused(bottom: str) -> None:
    value: Any = bottom
    for _ in range(100_000):
        value = [value]
    with pytest.raises(LocalProtocolError, match="nested too deeply"):
        dumps(value)


# Opening and closing, and how often they fit below one object.
NESTS = {
    "arrays": ("[", "]", 199),
    "objects": ('{"a":', "}", 199),
    "objects in arrays in objects": ('{"a":[0,{"b":', "}]}", 66),  # 199 = 3 * 66 + 1, so the bottom is an array
    "arrays beside empty ones": ("[[],{},", "]", 198),
}
BOTTOMS = ["0", '"\\ud83d"', f'"{"[" * 500}"', '"]]\\"}}\\\\"', "true"]


@pytest.mark.parametrize("bottom", BOTTOMS)
@pytest.mark.parametrize("nest", NESTS)
def test_200_levels_are_read_and_written_and_201_are_not(nest: str, bottom: str) -> None:
    opening, closing, times = NESTS[nest]
    bottom = bottom if times == 199 else f"[{bottom}]"
    deepest = '{"a":' + opening * times + bottom + closing * times + "}"
    value = loads(deepest)
    assert loads(deepest.encode()) == loads(dumps(value)) == value
    with pytest.raises(RemoteProtocolError, match="nested too deeply: more than 200 levels"):
        loads('{"b":' + deepest + "}")
    with pytest.raises(LocalProtocolError, match="nested too deeply: more than 200 levels"):
        dumps({"b": value})


@pytest.mark.parametrize("levels", range(1, 12))
@pytest.mark.parametrize("nest", NESTS)
@pytest.mark.parametrize("bottom", BOTTOMS)
def test_shallow_json_is_read_like_deep_json(nest: str, levels: int, bottom: str) -> None:
    opening, closing, _ = NESTS[nest]
    text = '{"a":' + opening * levels + bottom + closing * levels + "}"
    assert repr(loads(text)) == repr(loads(text.encode())) == repr(_loads_general(text)) == repr(json.loads(text))


@pytest.mark.parametrize("case", cases("tool_chunks.json"), ids=name_of)
def test_the_nesting_of_openai_is_shallow(case: Case) -> None:
    for chunk in case["chunks"]:
        assert _decode_shallow(json.dumps(chunk)) == chunk


def test_brackets_in_a_row_do_not_count_as_depth() -> None:
    wide = {"a": [[{}] for _ in range(1000)], "b": "[{" * 1000, "c": ["]" * 500, '\\"['] * 200}
    assert loads(json.dumps(wide)) == wide


def test_brackets_without_partners_are_bad_json_or_too_deep() -> None:
    for text in (b'{"a":' + b"][" * 300, b"]" * 500, b'{"a":["' + b"[" * 500, b'{"a":' + b"[" * 300 + b"}" * 300):
        with pytest.raises(RemoteProtocolError, match=r"not valid JSON|nested too deeply"):
            loads(text)


@pytest.mark.parametrize("first", ["0", '"\\ud83d"'])
def test_a_stack_that_is_nearly_full_does_not_crash(first: str) -> None:
    text = f'{{"s":{first},"a":' + '{"a":' * 190 + "0" + "}" * 191
    value = loads(text)
    depth = len(inspect.stack(0))
    limit = sys.getrecursionlimit()
    try:
        sys.setrecursionlimit(depth + 80)
        # Whether the stack suffices depends on the version of Python; the type of the exception does not.
        with contextlib.suppress(RemoteProtocolError):
            assert loads(text)
        with pytest.raises(LocalProtocolError, match="nested too deeply"):
            dumps(value)
    finally:
        sys.setrecursionlimit(limit)


def test_a_value_that_contains_itself_is_refused() -> None:
    value: dict[str, Any] = {}
    value["a"] = value
    with pytest.raises(LocalProtocolError, match="nested too deeply"):
        dumps(value)

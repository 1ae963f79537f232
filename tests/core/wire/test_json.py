from __future__ import annotations

import collections
import contextlib
import enum
import json
import math
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poeproto import LocalProtocolError, RemoteProtocolError
from poeproto.wire.json import _loads_general, dump_string, dumps, loads, path_text

from ...support.vectors import Case, cases, name_of, wire_of

DIGITS_READ = 4300

# A lone surrogate is decoded by the standard library; every verdict must be the same there.
SURROUNDINGS: list[Callable[[bytes], bytes]] = [
    lambda value: b'{"a":' + value + b"}",
    lambda value: b'{"s":"\\ud83d","a":' + value + b"}",
    lambda value: b'{"a":' + value + b',"s":"\\uDC08"}',
    lambda value: b'{"\\ud83d":0, "a" : ' + value + b" }\r\n\t ",
]
in_every_surrounding = pytest.mark.parametrize(
    "surround", SURROUNDINGS, ids=["alone", "after a surrogate", "before a surrogate", "after a surrogate as a key"]
)

# --- reading

VALUES: list[tuple[bytes, Any]] = [
    (b"null", None),
    (b"true", True),
    (b"0", 0),
    (b"-0", 0),
    (b"-0.0", -0.0),
    (b"1.0", 1.0),
    (b"1e2", 100.0),
    (b"1E+2", 100.0),
    (b"1e-999", 0.0),
    (b"1.7976931348623157e308", sys.float_info.max),
    (b"18446744073709551616", 2**64),
    (b"-9223372036854775809", -(2**63) - 1),
    (b"9" * 400, 10**400 - 1),
    (b"9" * DIGITS_READ, 10**DIGITS_READ - 1),
    # The sign counts as a digit.
    (b"-" + b"9" * (DIGITS_READ - 1), 1 - 10 ** (DIGITS_READ - 1)),
    (b'""', ""),
    (b'"\\u00e9\\ud83d\\udc08\\/\\b"', "é🐈/\b"),
    ('"é🐈\u2028\x7f"'.encode(), "é🐈\u2028\x7f"),
    (b'"\\ud83d"', "\ud83d"),
    (b'"\\uDC08\\uD83D"', "\udc08\ud83d"),
    (b'"\\ud83dx\\udc08"', "\ud83dx\udc08"),
    (b'"\\\\ud83d"', "\\ud83d"),
    (b'"\\u0000"', "\0"),
    (b"[ ]", []),
    (b'[1,{"b":[]}]', [1, {"b": []}]),
    (b'{"b":1,"b":2}', {"b": 2}),
    (b"[" * 190 + b"]" * 190, None),
]


@in_every_surrounding
@pytest.mark.parametrize(("text", "value"), VALUES, ids=[text[:20].decode() for text, _ in VALUES])
def test_json_is_read(text: bytes, value: Any, surround: Callable[[bytes], bytes]) -> None:
    document = surround(text)
    for data in (document, document.decode()):
        found = loads(data)["a"]
        if text.startswith(b"[["):
            continue
        assert found == value
        assert type(found) is type(value)


@in_every_surrounding
def test_of_equal_keys_the_last_wins(surround: Callable[[bytes], bytes]) -> None:
    assert loads(surround(b'1,"a":2'))["a"] == 2


FAULTS = {
    "a word of JavaScript's": [b"NaN", b"Infinity", b"-Infinity", b"undefined", b"[NaN]", b'{"b":-Infinity}'],
    "a word of Python's": [b"None", b"True", b"nan", b"inf"],
    "a number beyond double precision": [b"1e999", b"-1e999", b"[1e400]", b"9" * 400 + b".0"],
    "an integer of too many digits": [b"9" * (DIGITS_READ + 1), b"-" + b"9" * DIGITS_READ, b"1" * 100_000],
    "a number of another kind": [b"01", b"+1", b"1.", b".5", b"0x1", b"1_0", b"- 1", b"1e", "٣".encode()],
    "deep nesting": [b"[" * 100_000 + b"]" * 100_000, b'{"b":' * 100_000 + b"1" + b"}" * 100_000, b"[" * 100_000],
    "bytes that are not UTF-8": [b'"\xff"', b'"\xc3"', b'"\xed\xa0\xbd"', b'{"\xff":1}', b'"\xf0\x9f"', b"\xff"],
    "a bad string": [b"'x'", b'"\n"', b'"\0"', b'"\\x41"', b'"\\ud8"', b'"\\u12"', b'"x', b'"\\'],
    "a bad array or object": [b"[1,]", b"[,1]", b"[1 2]", b'{"b":1,}', b"{b:1}", b'{1:"b"}', b'{"b"}', b"[", b"{"],
    "a comment": [b"/**/1", b"1//\n"],
    "what does not end": [b"", b"tru", b"1}", b'1,"b":', b"1,"],
}


@in_every_surrounding
@pytest.mark.parametrize("kind", FAULTS)
def test_invalid_json_is_a_fault_of_the_peer(kind: str, surround: Callable[[bytes], bytes]) -> None:
    for text in FAULTS[kind]:
        with pytest.raises(RemoteProtocolError, match=r"not (valid|acceptable) JSON"):
            loads(surround(text))


@pytest.mark.parametrize("text", ['{"a":NaN}', '{"a":1e999}', '{"a":"\ud83d"}', '{"a":"\ud83d\\ud83d"}', '{"a":'])
def test_a_string_is_held_to_the_same_rules(text: str) -> None:
    with pytest.raises(RemoteProtocolError, match="not valid JSON"):
        loads(text)


@pytest.mark.parametrize(
    "document",
    [
        *(b"", b" ", b"\xef\xbb\xbf{}", b"{} {}", b"{}x", b"{}\0", b"\0{}", b"{}\xff", '{"a":1}'.encode("utf-16")),
        *(
            b'\xef\xbb\xbf{"a":"\\ud83d"}',
            b'{"a":"\\ud83d"}x',
            b'{"a":"\\ud83d"}\0',
            b'{"a":"\\ud83d"}\xff',
            b"\\ud83d",
        ),
    ],
)
def test_a_document_is_one_value_in_utf_8_without_bom(document: bytes) -> None:
    with pytest.raises(RemoteProtocolError, match="not valid JSON"):
        loads(document)


@pytest.mark.parametrize(
    ("document", "what"),
    [
        (b"[]", "an array"),
        (b'["\\ud83d"]', "an array"),
        (b'"x"', "a string"),
        (b'"\\ud83d"', "a string"),
        (b"1", "a number"),
        (b"-1.5", "a number"),
        (b"true", "a boolean"),
        (b" false ", "a boolean"),
        (b"null", "null"),
    ],
)
def test_a_value_other_than_an_object_is_named(document: bytes, what: str) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        loads(document)
    assert str(caught.value) == f"expected a JSON object, got {what}"


JSON_PIECES = [*'{}[]":,-.\\ 1é', "e9", "true", '"a"', "\\ud83d", "\\n"]


@settings(max_examples=500)
@given(st.lists(st.sampled_from(JSON_PIECES)).map("".join))
def test_both_ways_through_the_reader_agree(value: str) -> None:
    verdicts: list[object] = []
    for surround in SURROUNDINGS[:2]:
        try:
            read = loads(surround(value.encode()))
        except RemoteProtocolError:
            verdicts.append("refused")
        else:
            verdicts.append({key: item for key, item in read.items() if key != "s"})
    assert verdicts[0] == verdicts[1]


@given(st.binary(max_size=30) | st.text(st.characters(), max_size=30))
def test_nothing_but_our_own_error_escapes(data: bytes | str) -> None:
    with contextlib.suppress(RemoteProtocolError):
        assert isinstance(loads(data), dict)


# --- writing

# Surrogates are included: a text decoded with one must be encodable. A high one before a low one comes back as one
# character.
any_text = st.text(st.characters()).filter(
    lambda text: text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass") == text
)
numbers = st.integers(-(10**40), 10**40) | st.floats(allow_nan=False, allow_infinity=False)
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | numbers | any_text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(any_text, inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(any_text, json_values, max_size=4))
def test_encoded_values_are_decoded_unchanged(value: dict[str, Any]) -> None:
    written = dumps(value)
    assert loads(written) == json.loads(written) == value


@given(any_text)
def test_a_single_string_is_written_in_the_same_way(text: str) -> None:
    assert dump_string(text) == dumps(text)
    assert json.loads(dump_string(text)) == text


@pytest.mark.parametrize("integer", [10**DIGITS_READ - 1, 1 - 10 ** (DIGITS_READ - 1), 2**64, -(2**63) - 1])
def test_every_integer_that_is_written_can_be_read(integer: int) -> None:
    for value in ({"a": integer}, {"a": integer, "s": "\ud83d"}):
        assert loads(dumps(value)) == value


def test_the_form_is_compact_utf_8() -> None:
    assert dumps({"a": [1, "é🐈\n\0\x7f"], "b": None}) == '{"a":[1,"é🐈\\n\\u0000\x7f"],"b":null}'.encode()
    assert dump_string("é🐈\u2028") == '"é🐈\u2028"'.encode()


def test_a_lone_surrogate_is_written_as_an_escape_and_all_else_as_before() -> None:
    value = {"é\ud83d": ["\udc08", "🐈", 1.5, True, None, "\n"]}
    assert dumps(value) == '{"é\\ud83d":["\\udc08","🐈",1.5,true,null,"\\n"]}'.encode()
    assert dump_string("é\ud83d") == '"é\\ud83d"'.encode()


class Word(str):
    def __str__(self) -> str:
        return "another"


class Count(int):
    def __int__(self) -> int:
        return 7


class Ratio(float):
    def __float__(self) -> float:
        return 7.0


class Colour(enum.StrEnum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Point(NamedTuple):
    x: int
    y: int


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (Word("x"), b'"x"'),
        (Word("\ud83d"), b'"\\ud83d"'),
        (Count(3), b"3"),
        (Ratio(0.5), b"0.5"),
        (Colour.RED, b'"red"'),
        (Level.HIGH, b"3"),
        (Point(1, 2), b"[1,2]"),
        ((1, 2), b"[1,2]"),
        (collections.OrderedDict(a=1), b'{"a":1}'),
        ({Word("k"): 1}, b'{"k":1}'),
        (10**4200, b"1" + b"0" * 4200),
    ],
)
def test_a_subclass_is_written_as_its_content(value: object, written: bytes) -> None:
    assert dumps({"a": value}) == b'{"a":' + written + b"}"


def test_a_string_of_a_subclass_is_a_string() -> None:
    assert dump_string(Word("x")) == b'"x"'


UNWRITABLE: list[tuple[Any, str]] = [
    (math.nan, "nan has no form"),
    (math.inf, "inf has no form"),
    (-math.inf, "-inf has no form"),
    (Ratio("nan"), "has no form"),
    (b"x", "bytes has no form"),
    (bytearray(b"x"), "bytearray has no form"),
    ({1}, "set has no form"),
    (object(), "object has no form"),
    (1j, "complex has no form"),
    (json, "module has no form"),
    ({1: 2}, "the key 1 is not a string"),
    ({None: 2}, "the key None is not a string"),
    ({b"k": 2}, "the key b'k' is not a string"),
    (10**DIGITS_READ, "too many digits"),
    (-(10 ** (DIGITS_READ - 1)), "too many digits"),
    (-(10**5000), "too many digits"),
]


@pytest.mark.parametrize("lone", ["x", "\ud83d"], ids=["without a surrogate", "with a surrogate"])
@pytest.mark.parametrize(("value", "message"), UNWRITABLE, ids=[message for _, message in UNWRITABLE])
def test_a_value_that_json_cannot_express_is_refused_with_its_place(value: object, message: str, lone: str) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        dumps({"s": lone, "a": [0, {"b c": (1, value)}]})
    assert str(caught.value).startswith("a[1].b c[1]: ")
    assert message in str(caught.value)


def test_a_value_that_is_refused_itself_is_named_so() -> None:
    with pytest.raises(LocalProtocolError, match=r"^the value: set has no form in JSON$"):
        dumps({1})


@pytest.mark.parametrize("case", cases("json.json"), ids=name_of)
def test_with_care_or_without_the_same_is_read(case: Case) -> None:
    def outcome(read: Callable[[bytes], object]) -> str:
        try:
            return repr(read(wire_of(case)))
        except RemoteProtocolError as exc:
            return str(exc)

    assert outcome(loads) == outcome(_loads_general)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ((), "the value"),
        (("query",), "query"),
        (("query", 0, "attachments", 1, "url"), "query[0].attachments[1].url"),
        ((0,), "[0]"),
        ((0, "a", 1, 2), "[0].a[1][2]"),
    ],
)
def test_a_place_is_written_as_people_write_it(path: tuple[str | int, ...], text: str) -> None:
    assert path_text(path) == text

from __future__ import annotations

import inspect
import json
import sys
import typing
from collections.abc import Mapping
from typing import Any, Literal

import attrs
import pytest

from poeproto import Json, Message, UnknownRequest
from poeproto.vocabulary.events import EVENT_CLASSES
from poeproto.vocabulary.field_types import NO_EXTRA
from poeproto.wire.codec import REQUEST_CLASSES
from poeproto.wire.fast_codec import fast_decoder, fast_encoder, fast_structurer
from poeproto.wire.json import MAX_DEPTH


@attrs.frozen
class Leaf:
    name: str
    extra: Mapping[str, Any] = attrs.field(default=NO_EXTRA, kw_only=True, hash=False)


@attrs.frozen
class Tree:
    leaf: Leaf
    leaves: list[Leaf]
    number: int = 7
    real: float | None = None
    other: Leaf | None = None
    others: list[Leaf] | None = None
    tree: Tree | None = None
    anything: Any = None
    items: list[str] = attrs.field(factory=list[str])
    keys: dict[str, Any] = attrs.field(factory=dict[str, Any])
    label: str = "label"
    flag: bool = False
    count: int = 0
    extra: Mapping[str, Any] = attrs.field(default=NO_EXTRA, kw_only=True, hash=False)


SMALLEST: dict[str, Any] = {"leaf": {"name": "a"}, "leaves": []}
FULL: dict[str, Any] = {
    "leaf": {"name": "a"},
    "leaves": [{"name": "b"}, {"name": "c"}],
    "number": 2**80,
    "real": 1.5,
    "other": {"name": "d"},
    "others": [{"name": "e"}],
    "tree": SMALLEST,
    "anything": [{"a": [1.0, None]}],
    "items": ["x", "y"],
    "keys": {"a": 1, "b": [True]},
}


@pytest.fixture(autouse=True)
def new_struct_twins() -> None:
    """Each test makes its own, so that none depends on the cache of another."""
    fast_decoder.cache_clear()
    fast_structurer.cache_clear()


def read(wire: dict[str, Any]) -> Tree | None:
    return fast_decoder(Tree)(json.dumps(wire))


def test_an_absent_field_has_its_default() -> None:
    tree = read(SMALLEST)
    assert tree == Tree(Leaf("a"), [])
    assert type(tree) is Tree
    assert type(tree.leaf) is Leaf
    assert tree.extra is tree.leaf.extra is NO_EXTRA  # by which encoders know that there is none


def test_every_present_field_is_read() -> None:
    expected = Tree(
        Leaf("a"),
        [Leaf("b"), Leaf("c")],
        2**80,
        1.5,
        Leaf("d"),
        [Leaf("e")],
        Tree(Leaf("a"), []),
        [{"a": [1.0, None]}],
        ["x", "y"],
        {"a": 1, "b": [True]},
    )
    assert repr(read(FULL)) == repr(expected)
    assert fast_decoder(Tree)(json.dumps(FULL).encode()) == expected


def test_a_null_is_as_good_as_an_absent_optional_field() -> None:
    optional = {field.name: None for field in attrs.fields(Tree) if field.default is not attrs.NOTHING}
    del optional["extra"]
    tree: dict[str, Any] = {**SMALLEST, **optional}
    expected = Tree(Leaf("a"), [])
    assert read(tree) == fast_structurer(Tree)(tree) == expected
    assert read({**tree, "tree": tree}) == Tree(Leaf("a"), [], tree=expected)
    assert fast_structurer(Tree)({**tree, "new": None}) == attrs.evolve(expected, extra={"new": None})
    full = read({**FULL, "number": 0, "label": ""})
    assert full is not None
    assert (full.number, full.label) == (0, "")


def test_no_two_values_share_a_default_that_can_change() -> None:
    first, second = read(SMALLEST), read(SMALLEST)
    assert first is not None
    first.items.append("x")
    first.keys["x"] = 1
    first.leaves.append(Leaf("x"))
    assert second == read(SMALLEST) == Tree(Leaf("a"), [])


def test_values_that_are_read_are_as_frozen_as_others() -> None:
    tree = read(FULL)
    assert tree is not None
    for value, name in ((tree, "number"), (tree.leaves[0], "name"), (tree, "new")):
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            setattr(value, name, 1)
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            delattr(value, name)
    assert attrs.evolve(tree, number=1).number == 1
    assert hash(tree.leaf) == hash(Leaf("a"))


@pytest.mark.parametrize(
    "fields",
    [
        {"new": 1},
        {"extra": {}},
        {"leaf": {"name": "a", "new": 1}},
        {"leaf": {"name": "a", "extra": None}},
        {"leaf": {}},
        {"leaf": None},
        {"leaves": [{"name": "a"}, {"name": "a", "new": None}]},
        {"leaves": None},
        {"others": [{"name": "a", "new": []}]},
        {"tree": {**SMALLEST, "new": 1}},
        {"number": True},
        {"number": 1.5},
        {"items": [1]},
        {"items": [None]},
        {"keys": []},
        {"anything": "\ud83d"},
    ],
    ids=" ".join,
)
def test_an_invalid_object_is_left_to_the_general_path(fields: dict[str, Any]) -> None:
    assert read({**SMALLEST, **fields}) is None


@pytest.mark.parametrize("document", ["", "[]", "null", "{", "{}", json.dumps(SMALLEST) + "x", b"\xff", "\ud83d"])
def test_another_value_is_left_to_the_general_path(document: str | bytes) -> None:
    assert fast_decoder(Tree)(document) is None


def nested(levels: int, opening: str, closing: str) -> str:
    return opening * levels + "0" + closing * levels


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_a_field_of_any_type_is_read_where_it_is_shallow(opening: str, closing: str) -> None:
    def with_anything(levels: int) -> str:
        return json.dumps(SMALLEST)[:-1] + f', "anything": {nested(levels, opening, closing)}}}'

    tree = fast_decoder(Tree)(with_anything(5))
    assert tree is not None
    assert json.dumps(tree.anything, separators=(",", ":")) == nested(5, opening, closing)
    for levels in (MAX_DEPTH, 10 * MAX_DEPTH, 100_000):
        assert fast_decoder(Tree)(with_anything(levels)) is None


def test_a_class_within_itself_is_read_once() -> None:
    tree = {**SMALLEST, "tree": {**SMALLEST, "tree": None}}
    assert read(tree) == Tree(Leaf("a"), [], tree=Tree(Leaf("a"), []))
    assert read({**SMALLEST, "tree": tree}) is None


def test_ignored_keys_are_dropped() -> None:
    read_beside = fast_decoder(Tree, ("kind", Literal["tree"]), ("secret", str, ""))
    plain = json.dumps({"kind": "tree", **SMALLEST})
    assert read_beside(plain) == read_beside(plain[:-1] + ', "secret": "x"}') == Tree(Leaf("a"), [])
    for wrong in (json.dumps(SMALLEST), plain.replace('"tree"', '"bush"'), plain[:-1] + ', "secret": 1}'):
        assert read_beside(wrong) is None
    assert fast_decoder(Tree)(plain) is None


def test_a_stack_that_is_nearly_full_does_not_crash() -> None:
    read_tree, document = fast_decoder(Tree), json.dumps(FULL)
    expected = read_tree(document)
    limit, depth = sys.getrecursionlimit(), len(inspect.stack(0))
    for frames in range(10, 30):
        try:
            sys.setrecursionlimit(depth + frames)
            found = read_tree(document)
        finally:
            sys.setrecursionlimit(limit)
        # How many frames it takes depends on the version of Python.
        assert found in (None, expected)


def classes_within(hint: Any, seen: set[Any]) -> set[Any]:
    if attrs.has(hint) and hint not in seen:
        seen.add(hint)
        for inner in typing.get_type_hints(hint).values():
            classes_within(inner, seen)
    for arg in typing.get_args(hint):
        classes_within(arg, seen)
    return seen


def test_classes_on_the_fast_path_have_no_rules_but_types() -> None:
    """The fast codec calls no constructor, so the classes must not need one."""
    seen: set[Any] = set()
    for cls in (*REQUEST_CLASSES.values(), UnknownRequest, *EVENT_CLASSES.values()):
        if cls is not Json:
            classes_within(cls, seen)
    assert Message in seen
    for cls in seen:
        assert not hasattr(cls, "__attrs_post_init__")
        for field in attrs.fields(cls):
            assert field.validator is None
            assert field.converter is None
            assert field.init


@attrs.frozen
class Note:
    text: Any
    index: int | None = None
    label: str | None = None
    extra: Mapping[str, Any] = attrs.field(default=NO_EXTRA, kw_only=True, hash=False)


def test_unset_fields_are_not_written() -> None:
    write = fast_encoder(Note, b"<%b>")
    assert write(Note("é")) == '<{"text":"é"}>'.encode()
    assert write(Note(None, 7)) == b'<{"text":null,"index":7}>'
    assert write(Note("a", label="")) == b'<{"text":"a","label":""}>'


def test_an_unusual_value_is_left_to_the_general_path() -> None:
    write, wrong = fast_encoder(Note, b"<%b>"), typing.cast("Any", "7")
    for note in (Note("a", wrong), Note("a", 2**53), Note("a", label=wrong.encode())):
        assert write(note) is None
    assert write(Note("a", extra={"new": 1})) is None

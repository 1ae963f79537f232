"""Classes as programs derive them from fastapi_poe's types, and their uses, with either library's types."""

# The bases and the types of the fields are those of a module that is an argument.
# pyright: basic, reportInvalidTypeForm=false, reportCallIssue=false, reportGeneralTypeIssues=false, reportArgumentType=false
# ruff: noqa: RUF012  # defaults as programs write them

import copy
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar, Optional, Union

import pydantic
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr


class Count(BaseModel):
    number: int = 1


def subclasses(types: Any) -> dict[str, Any]:
    """Classes derived from the types of a module, by name."""

    class Added(types.PartialResponse):
        note: str = "n"
        count: int | None = None
        KIND: ClassVar[str] = "k"

        def shout(self) -> str:
            return self.text.upper()

        @property
        def length(self) -> int:
            return len(self.text)

        @length.setter
        def length(self, length: int) -> None:
            self.text = "x" * length

    class Default(types.PartialResponse):
        text: str = "default"
        is_replace_response: bool = True

    class Required(types.PartialResponse):
        index: int

    class Fields(types.ProtocolMessage):
        tags: list[str] = Field(default_factory=list)
        score: float = Field(default=1.5, description="d")
        nick: str = Field("n", alias="nickName")
        must: int = Field(...)

    class Allow(types.PartialResponse):
        model_config = ConfigDict(extra="allow")

    class AllowByKeyword(types.SettingsResponse, extra="allow"):
        pass

    class AllowByConfig(types.ProtocolMessage):
        class Config:
            extra = "allow"

    class Ignore(types.PartialResponse):
        model_config = ConfigDict(extra="ignore")

    class Private(types.ProtocolMessage):
        _cache: dict[str, int] = {}
        _number: int = PrivateAttr(default=3)
        _list: list[int] = PrivateAttr(default_factory=list)
        _bare = 5

    class Init(types.PartialResponse):
        def __init__(self, text: str = "z", **values: Any) -> None:
            super().__init__(text=f"{text}!", **values)

    class PostInit(types.PartialResponse):
        note: str = ""

        def model_post_init(self, context: Any) -> None:
            self.note = self.text * 2

    class Typed(types.BaseRequest):
        when: datetime
        model: Count
        several: tuple[int, ...] = ()
        sequence: Sequence[str] = []
        distinct: set[int] = set()
        mapping: Mapping[str, int] = {}
        anything: Any = None
        maybe: Optional[Count] = None  # noqa: UP045  # as programs write it
        models: list[Count] = []
        either: Union[int, str] = 0  # noqa: UP007

    class Nested(types.QueryRequest):
        query: list[Fields]
        best: Added | None = None

    class MoreSender(types.Sender):
        more: int = 1

    return {name: value for name, value in locals().items() if name != "cls"}


def private_values(classes: dict[str, Any]) -> Any:
    one, other = (classes["Private"](role="user", content="") for _ in range(2))
    one._cache.update(a=1)
    one._number = 7
    copied = copy.deepcopy(one)
    copied._cache.update(b=2)
    values = [(each._cache, each._number, each._list, each._bare) for each in (one, other, copied, one.model_copy())]
    return values, one.model_dump(), one == other, other == other.model_copy(), hasattr(one, "_unknown")


def set_length(classes: dict[str, Any]) -> Any:
    made = classes["Added"](text="a")
    made.length = 3
    return made, made.length, made.shout(), made.KIND


def set_unknown(classes: dict[str, Any]) -> Any:
    made = classes["Allow"](text="a")
    made.more = 1
    return made, made.model_dump(), made.model_extra


def typed(classes: dict[str, Any]) -> Any:
    return classes["Typed"](
        version="1",
        type="query",
        when="2024-01-01",
        model={"number": "4"},
        several=["1"],
        sequence=("a",),
        distinct=[1, 1],
        mapping={"a": "1"},
        anything=object,
        models=[{"number": 2}],
        either="x",
    ).model_dump()


def nested(classes: dict[str, Any]) -> Any:
    ids = {"version": "1", "user_id": "", "conversation_id": "", "message_id": ""}
    message = {"role": "user", "content": "x", "must": 1}
    return classes["Nested"](type="query", query=[message], best={"text": "t"}, **ids)


USES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "new fields": lambda classes: classes["Added"](text="a", count="3"),
    "a field without its default": lambda classes: classes["Required"](text="a"),
    "a value without a default": lambda classes: classes["Required"](text="a", index="3"),
    "no such field": lambda classes: classes["Added"](text="a", unknown=1),
    "methods and properties": set_length,
    "equal to its base": lambda classes: classes["Added"](text="a") == classes["types"].PartialResponse(text="a"),
    "validated as its base": lambda classes: classes["types"].PartialResponse.model_validate(
        classes["Added"](text="a")
    ),
    "defaults": lambda classes: classes["Default"](),
    "defaults overridden": lambda classes: classes["Default"](text="q"),
    "pydantic's fields": lambda classes: classes["Fields"](role="user", content="x", nickName="q", must=1),
    "a field that must be given": lambda classes: classes["Fields"](role="user", content="x"),
    "aliases": lambda classes: classes["Fields"](role="user", content="x", must="5", tags=("a",)).model_dump(
        by_alias=True
    ),
    "JSON": lambda classes: classes["Fields"](role="user", content="x", must=1).model_dump_json(),
    "extra keys": lambda classes: classes["Allow"](text="a", more=[1]),
    "extra keys are dumped": lambda classes: classes["Allow"](text="a", more=[1]).model_dump(),
    "extra keys are shown": lambda classes: repr(classes["Allow"](text="a", more=[1])),
    "extra keys are compared": lambda classes: classes["Allow"](text="a", more=1) == classes["Allow"](text="a", more=2),
    "extra keys are set": set_unknown,
    "extra keys are copied": lambda classes: classes["Allow"](text="a", more=[1]).model_copy(update={"z": 1}),
    "extra by keyword": lambda classes: classes["AllowByKeyword"](more=1).model_dump(),
    "extra by Config": lambda classes: classes["AllowByConfig"](role="user", content="", more=1).model_dump(),
    "extra ignored": lambda classes: classes["Ignore"](text="a", more=1),
    "private attributes": private_values,
    "a constructor": lambda classes: (classes["Init"]("q"), classes["Init"]()),
    "a constructor, validated": lambda classes: classes["Init"].model_validate({"text": "v"}),
    "post init": lambda classes: classes["PostInit"](text="a"),
    "types of all kinds": typed,
    "values that do not fit": lambda classes: classes["Typed"](
        version="1", type="query", when="?", model={"number": "?"}
    ),
    "nested": nested,
    "a derived value": lambda classes: classes["types"].ProtocolMessage(
        role="user", content="", sender=classes["MoreSender"](id="a")
    ),
    "a value of another class": lambda classes: classes["types"].ProtocolMessage(
        role="user", content="", sender=classes["types"].User(id="a")
    ),
}


# --- pydantic's models and adapters, which hold the types of a module


def host(types: Any) -> Any:
    """A model of pydantic's with fields of a module's types."""

    class Host(BaseModel):
        message: types.ProtocolMessage
        messages: list[types.ProtocolMessage] = []
        attachment: types.Attachment | None = None
        replies: dict[str, types.PartialResponse] = {}

    return Host


MESSAGE = {"role": "user", "content": "x", "parameters": {"a": (1,)}}
FILE = {"url": "a", "content_type": "b", "name": "c"}


def attachments(types: Any) -> Any:
    return pydantic.TypeAdapter(list[types.Attachment])


HELD: dict[str, Callable[[Any], Any]] = {
    "from a dict": lambda types: host(types)(message=MESSAGE).model_dump(),
    "JSON": lambda types: host(types)(message=MESSAGE).model_dump_json(),
    "from objects": lambda types: host(types)(
        message=types.ProtocolMessage(**MESSAGE), replies={"a": types.PartialResponse(text="t")}
    ).model_dump(mode="json", exclude_none=True),
    "refused": lambda types: host(types)(message={"role": "nobody"}),
    "from JSON": lambda types: (
        host(types).model_validate_json('{"message": {"role": "user", "content": "a"}}').model_dump(exclude_unset=True)
    ),
    "parts": lambda types: host(types)(message=MESSAGE, messages=[MESSAGE]).model_dump(
        exclude={"messages": {0: {"content"}}}
    ),
    "an adapter": lambda types: attachments(types).validate_python([FILE]),
    "an adapter refuses": lambda types: attachments(types).validate_python([{"url": "a"}]),
    "an adapter dumps": lambda types: attachments(types).dump_json([types.Attachment(**FILE)]),
    "a union": lambda types: pydantic.TypeAdapter(Union[types.Attachment, types.PartialResponse]).validate_python(  # noqa: UP007
        {"text": "b"}
    ),
    "the names in its schema": lambda types: sorted(host(types).model_json_schema()["properties"]),
}

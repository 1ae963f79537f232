"""Checks of values against type hints, as fastapi_poe's models make them: a value passes, is converted, or is refused.

fastapi_poe's models are pydantic's, in its lax mode (https://docs.pydantic.dev/latest/concepts/conversion_table/): a
number may come as a string of digits, a list as a tuple, a model as a dict. This module does the same for the types
that those models use, without pydantic, whose import takes longer than all of poeproto's.
"""

from __future__ import annotations

import sys
import types
import typing
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any, TypeGuard

# Takes a value and returns what stands in the field; raises Invalid.
Check = Callable[[Any], Any]

_TRUE = frozenset({"1", "on", "t", "true", "y", "yes"})
_FALSE = frozenset({"0", "off", "f", "false", "n", "no"})
_LISTS = (list, tuple, set, frozenset, deque)


class Problem(typing.NamedTuple):
    """What is wrong with one value of a model: `where` is the path of keys and indices to it."""

    kind: str
    where: tuple[str | int, ...]
    message: str
    value: Any


class Invalid(Exception):
    """A value that a check refuses."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__(problems)
        self.problems = problems

    @classmethod
    def because(cls, kind: str, message: str, value: Any) -> Invalid:
        return cls([Problem(kind, (), message, value)])

    def inside(self, *where: str | int) -> list[Problem]:
        """The problems, as seen from a value that holds this one."""
        return [problem._replace(where=(*where, *problem.where)) for problem in self.problems]


class ValidationError(ValueError):
    """Values that do not fit a model.

    Attributes:
        title: the model's name.
    """

    def __init__(self, title: str, problems: list[Problem]) -> None:
        self.title = title
        self._problems = problems
        lines = [f"{len(problems)} validation error{'s' if len(problems) > 1 else ''} for {title}"]
        for problem in problems:
            lines += [".".join(map(str, problem.where)), f"  {problem.message} [{_detail(problem)}]"]
        super().__init__("\n".join(lines))

    def errors(self, **_options: Any) -> list[dict[str, Any]]:
        """What is wrong, one dict a problem, with pydantic's keys: `type`, `loc`, `msg`, `input`."""
        return [
            {"type": kind, "loc": where, "msg": text, "input": value} for kind, where, text, value in self._problems
        ]

    def error_count(self) -> int:
        return len(self._problems)


def refusal(title: str, problems: list[Problem]) -> ValueError:
    """The exception for values that do not fit a model.

    Programs written for fastapi_poe catch `pydantic.ValidationError`, whose type cannot be derived from. So where a
    program has imported pydantic, it gets that; elsewhere, `ValidationError` of this module. Both are ValueErrors.
    """
    core = sys.modules.get("pydantic_core")
    if core is None:
        return ValidationError(title, problems)
    errors = [
        {"type": core.PydanticCustomError(kind, _escaped(text)), "loc": where, "input": value}
        for kind, where, text, value in problems
    ]
    return core.ValidationError.from_exception_data(title, errors)


def _escaped(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def _detail(problem: Problem) -> str:
    shown = repr(problem.value)
    if len(shown) > 50:
        shown = f"{shown[:24]}...{shown[-23:]}"
    return f"type={problem.kind}, input_value={shown}, input_type={type(problem.value).__name__}"


def check_for(hint: Any) -> Check:
    """The check of a type hint.

    Args:
        hint: a resolved hint: str, int, float, bool, None, Any, object, a Literal, a Union, a list or dict of them, or
            a class with a method `model_validate`. Of any other class, an instance is wanted.
    """
    if hint in _SIMPLE:
        return _SIMPLE[hint]
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return check_for(arguments[0])
    if origin is typing.Literal:
        return _literal(arguments)
    if origin in (typing.Union, types.UnionType):
        return _union([check_for(each) for each in arguments], arguments)
    if origin is list:
        return _list(check_for(arguments[0]))
    if origin is dict:
        return _dict(check_for(arguments[0]), check_for(arguments[1]))
    if isinstance(hint, type):
        return _model(hint) if hasattr(hint, "model_validate") else _instance(hint)
    return _anything


def _anything(value: Any) -> Any:
    return value


def _none(value: Any) -> None:
    if value is not None:
        raise Invalid.because("none_required", "Expected None", value)


def _str(value: Any) -> str:
    if isinstance(value, str):
        # An Enum's member that is a string stands for its value.
        return value if type(value) is str else str.__str__(value)
    if isinstance(value, (bytes, bytearray)):
        try:
            return value.decode()
        except UnicodeDecodeError as error:
            raise Invalid.because("string_unicode", "Expected a string; these bytes are not UTF-8", value) from error
    raise Invalid.because("string_type", f"Expected a string, not {_a(value)}", value)


def _int(value: Any) -> int:
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str):
        try:
            return int(value.strip())
        except ValueError as error:
            raise Invalid.because("int_parsing", "Expected an integer; this string holds none", value) from error
    if isinstance(value, float):
        raise Invalid.because("int_from_float", "Expected an integer, not a float with a fraction", value)
    raise Invalid.because("int_type", f"Expected an integer, not {_a(value)}", value)


def _float(value: Any) -> float:
    if isinstance(value, (int, float)):
        return float(value)
    if isinstance(value, str):
        try:
            return float(value.strip())
        except ValueError as error:
            raise Invalid.because("float_parsing", "Expected a number; this string holds none", value) from error
    raise Invalid.because("float_type", f"Expected a number, not {_a(value)}", value)


def _bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, (int, float)) and value in (0, 1):
        return bool(value)
    if isinstance(value, str):
        word = value.lower()
        if word in _TRUE:
            return True
        if word in _FALSE:
            return False
        raise Invalid.because("bool_parsing", "Expected a boolean; this string is none", value)
    raise Invalid.because("bool_type", f"Expected a boolean, not {_a(value)}", value)


def _literal(members: tuple[Any, ...]) -> Check:
    expected = " or ".join(map(repr, members))

    def check(value: Any) -> Any:
        for member in members:
            if value == member and isinstance(value, type(member)):
                return member
        raise Invalid.because("literal_error", f"Expected {expected}", value)

    return check


def _union(checks: list[Check], hints: tuple[Any, ...]) -> Check:
    """The member whose type the value has; otherwise the first that can convert it."""
    optional = type(None) in hints
    exact: dict[Any, Check] = {hint: check for hint, check in zip(hints, checks, strict=True) if isinstance(hint, type)}
    converting = [check for hint, check in zip(hints, checks, strict=True) if hint is not type(None)]

    def check(value: Any) -> Any:
        if value is None and optional:
            return None
        same = exact.get(typing.cast("Any", type(value)))
        if same is not None:
            return same(value)
        problems: list[Problem] = []
        for convert in converting:
            try:
                return convert(value)
            except Invalid as error:
                problems += error.problems
        raise Invalid(problems)

    return check


def _list(check_item: Check) -> Check:
    def check(value: Any) -> list[Any]:
        if not _is_list(value):
            raise Invalid.because("list_type", f"Expected a list, not {_a(value)}", value)
        items: list[Any] = []
        problems: list[Problem] = []
        for index, item in enumerate(value):
            try:
                items.append(check_item(item))
            except Invalid as error:
                problems += error.inside(index)
        if problems:
            raise Invalid(problems)
        return items

    return check


def _is_list(value: Any) -> TypeGuard[Iterable[Any]]:
    return isinstance(value, (*_LISTS, types.GeneratorType, AbstractSet)) or type(value).__name__ in {
        "dict_keys",
        "dict_values",
        "dict_items",
    }


def _dict(check_key: Check, check_item: Check) -> Check:
    def check(value: Any) -> dict[Any, Any]:
        if not isinstance(value, Mapping):
            raise Invalid.because("dict_type", f"Expected a dict, not {_a(value)}", value)
        items: dict[Any, Any] = {}
        problems: list[Problem] = []
        for key, item in typing.cast("Mapping[Any, Any]", value).items():
            try:
                items[check_key(key)] = check_item(item)
            except Invalid as error:
                problems += error.inside(key if isinstance(key, (str, int)) else repr(key))
        if problems:
            raise Invalid(problems)
        return items

    return check


def _model(cls: Any) -> Check:
    def check(value: Any) -> Any:
        return value if isinstance(value, cls) else cls._checked(value)

    return check


def _instance(cls: type[Any]) -> Check:
    def check(value: Any) -> Any:
        if isinstance(value, cls):
            return value
        raise Invalid.because("is_instance_of", f"Expected an instance of {cls.__name__}, not {_a(value)}", value)

    return check


def _a(value: Any) -> str:
    return "None" if value is None else with_article(type(value).__name__)


def with_article(name: str) -> str:
    """The name of a type, as a sentence has it."""
    return f"{'an' if name[0] in 'AEIOUaeiou' else 'a'} {name}"


_SIMPLE: dict[Any, Check] = {
    str: _str,
    int: _int,
    float: _float,
    bool: _bool,
    type(None): _none,
    None: _none,
    Any: _anything,
    object: _anything,
}

"""Checks of values against type hints, as fastapi_poe's models make them: a value passes, is converted, or is refused.

fastapi_poe's models are pydantic's, in its lax mode (https://docs.pydantic.dev/latest/concepts/conversion_table/): a
number may come as a string of digits, a list as a tuple, a model as a dict. This module does the same for the types
that those models use, without pydantic, whose import takes longer than all of poeproto's.
"""

from __future__ import annotations

import enum
import math
import re
import sys
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeGuard

# Takes a value and returns the field's value; raises Invalid.
Check = Callable[[Any], Any]

_TRUE = frozenset({"1", "on", "t", "true", "y", "yes"})
_FALSE = frozenset({"0", "off", "f", "false", "n", "no"})
# An integer in a string, with a fraction of zeros if any. In ASCII: `int` alone reads the digits of all scripts.
_INTEGER = re.compile(r"\s*([+-]?[0-9]+(?:_[0-9]+)*)(?:\.0+)?\s*")
_NUMBER = re.compile(r"[\x00-\x7f]*")
_NOT_LISTS = (str, bytes, bytearray, Mapping)
# The floats beyond these are refused for an integer: most of their digits would be made up.
_LARGEST_FROM_FLOAT = 2.0**63


class Problem(typing.NamedTuple):
    """One invalid value of a model: `where` is the path of keys and indices to it."""

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
        """The problems, one dict each, with pydantic's keys: `type`, `loc`, `msg`, `input`."""
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
            a model. For any other, see `_any_of_pydantics`.
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
    if isinstance(hint, type) and hasattr(hint, "_model_checked"):
        return _model(hint)
    return _any_of_pydantics(hint)


def unconverted_type(hint: Any) -> type[Any] | None:
    """The type whose values a check of the hint returns as they are, if there is one: most values are of it."""
    members = [each for each in typing.get_args(hint) if each is not type(None)]
    if typing.get_origin(hint) in (typing.Union, types.UnionType) and len(members) == 1:
        hint = members[0]
    is_unconverted = hint in (str, int, float, bool) or (isinstance(hint, type) and hasattr(hint, "_model_checked"))
    return hint if is_unconverted else None


def _any_of_pydantics(hint: Any) -> Check:
    """The check of a type that only a program's own class has: pydantic's, if the program has imported pydantic."""
    pydantic = sys.modules.get("pydantic")
    if pydantic is None:
        return _instance(hint) if isinstance(hint, type) else _anything
    arbitrary = isinstance(hint, type) and not hasattr(hint, "__get_pydantic_core_schema__")
    config = {"arbitrary_types_allowed": True} if arbitrary and not hasattr(hint, "__pydantic_config__") else None
    validate = pydantic.TypeAdapter(hint, config=config).validate_python

    def check(value: Any) -> Any:
        try:
            return validate(value)
        except pydantic.ValidationError as error:
            found = error.errors()
            raise Invalid([Problem(each["type"], each["loc"], each["msg"], each["input"]) for each in found]) from error

    return check


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
    if isinstance(value, enum.Enum):
        return str(value.value)
    raise Invalid.because("string_type", f"Expected a string, not {_a(value)}", value)


def _int(value: Any) -> int:
    if isinstance(value, int):
        return int(value)
    text = _number_text(value)
    if text is not None:
        found = _INTEGER.fullmatch(text)
        if found is None:
            raise Invalid.because("int_parsing", "Expected an integer; this string holds none", value)
        return int(found[1])
    number = _as_float(value)
    if number is None:
        raise Invalid.because("int_type", f"Expected an integer, not {_a(value)}", value)
    if not math.isfinite(number):
        raise Invalid.because("finite_number", "Expected an integer, which is finite", value)
    if not number.is_integer():
        raise Invalid.because("int_from_float", "Expected an integer, not a number with a fraction", value)
    if abs(number) >= _LARGEST_FROM_FLOAT:
        raise Invalid.because("int_parsing_size", "Expected an integer; this float is too large to be exact", value)
    return int(number)


def _float(value: Any) -> float:
    if isinstance(value, float):
        return float(value)
    text = _number_text(value)
    if text is not None:
        try:
            if _NUMBER.fullmatch(text):
                return float(text.strip())
        except ValueError:
            pass
        raise Invalid.because("float_parsing", "Expected a number; this string holds none", value)
    number = _as_float(value)
    if number is None:
        raise Invalid.because("float_type", f"Expected a number, not {_a(value)}", value)
    return number


def _bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    text = _number_text(value)
    if text is None:
        number = _as_float(value)
        if number is None or not number.is_integer() or abs(number) >= _LARGEST_FROM_FLOAT:
            raise Invalid.because("bool_type", f"Expected a boolean, not {_a(value)}", value)
        text = f"{number:.0f}" if number else "0"
    word = text.lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise Invalid.because("bool_parsing", f"Expected a boolean; {value!r} stands for none", value)


def _number_text(value: Any) -> str | None:
    """The text of a string or of bytes, which may hold a number or a boolean."""
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if not isinstance(value, str):
        return None
    if _has_surrogates(value):
        raise Invalid.because("string_unicode", "Expected Unicode; this string holds half of a character", value)
    return str.__str__(value)


def _has_surrogates(text: str) -> bool:
    return not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text)


def _as_float(value: Any) -> float | None:
    """A number of any type as a float, as Decimal, Fraction and numpy's numbers. An Enum's member is none."""
    if not isinstance(value, (int, float)) and (isinstance(value, enum.Enum) or not _is_number(value)):
        return None
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def _is_number(value: Any) -> bool:
    kind = typing.cast("type[Any]", type(value))
    return hasattr(kind, "__float__") or hasattr(kind, "__index__")


def _literal(members: tuple[Any, ...]) -> Check:
    expected = " or ".join(map(repr, members))

    def check(value: Any) -> Any:
        for member in members:
            if value == member and isinstance(value, type(member)):
                return member
        if isinstance(value, str) and _has_surrogates(value):
            raise Invalid.because("string_unicode", "Expected Unicode; this string holds half of a character", value)
        raise Invalid.because("literal_error", f"Expected {expected}", value)

    return check


def _union(checks: list[Check], hints: tuple[Any, ...]) -> Check:
    """The member whose type the value has; otherwise the first that can convert it."""
    optional = type(None) in hints
    exact: dict[Any, Check] = {hint: check for hint, check in zip(hints, checks, strict=True) if isinstance(hint, type)}
    converting = [(hint, check) for hint, check in zip(hints, checks, strict=True) if hint is not type(None)]
    first_number = next((check for hint, check in converting if hint in (int, float)), None)
    # A problem's path names the member, if there are several.
    labels = [(_label(hint),) if len(converting) > 1 else () for hint, _ in converting]

    def check(value: Any) -> Any:
        if value is None and optional:
            return None
        same = exact.get(typing.cast("Any", type(value)))
        if same is not None:
            return same(value)
        if isinstance(value, int) and first_number is not None:
            return first_number(value)
        if float in exact and not isinstance(value, (str, bytes)):
            # A number of another type keeps its fraction, also where an integer stands first.
            number = _as_float(value)
            if number is not None:
                return number
        problems: list[Problem] = []
        for (_, convert), label in zip(converting, labels, strict=True):
            try:
                return convert(value)
            except Invalid as error:
                problems += error.inside(*label)
        raise Invalid(problems)

    return check


def _label(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) else str(hint).replace("typing.", "")


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
    """Whether a list can be made of it: of any iterable but strings, bytes and mappings."""
    return isinstance(value, Iterable) and not isinstance(value, _NOT_LISTS)


def _dict(check_key: Check, check_item: Check) -> Check:
    def check(value: Any) -> dict[Any, Any]:
        if not isinstance(value, Mapping):
            raise Invalid.because("dict_type", f"Expected a dict, not {_a(value)}", value)
        items: dict[Any, Any] = {}
        problems: list[Problem] = []
        for key, item in typing.cast("Mapping[Any, Any]", value).items():
            where = key if isinstance(key, (str, int)) else repr(key)
            try:
                checked = check_key(key)
            except Invalid as error:
                problems += error.inside(where, "[key]")
                continue
            try:
                items[checked] = check_item(item)
            except Invalid as error:
                problems += error.inside(where)
        if problems:
            raise Invalid(problems)
        return items

    return check


def _model(cls: Any) -> Check:
    def check(value: Any) -> Any:
        return value if isinstance(value, cls) else cls._model_checked(value)

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
    """The name of a type with its article."""
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

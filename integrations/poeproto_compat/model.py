"""The base class of fastapi_poe's types: mutable objects with checked fields, and the methods of pydantic's models.

It has what programs use of those: keyword construction, `model_copy`, `model_dump`, `model_validate` and their
relatives, the older `dict`, `json`, `copy`, `parse_obj`, equality, and fields that a program may set.
"""

from __future__ import annotations

import copy
import json
import typing
import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from inspect import get_annotations
from typing import Any, ClassVar, Self, TypeAlias, dataclass_transform

from poeproto_compat.validation import Check, Invalid, Problem, check_for, refusal, with_article

# In the class below, `dict` is a method.
Values: TypeAlias = dict[str, Any]

_MISSING: Any = object()
# Defaults of these types are copied for each object.
_COPIED = (list, dict, set)


class FieldInfo(typing.NamedTuple):
    """A field of a model.

    Attributes:
        annotation: its type.
        default: its default, if it has one.
        default_factory: makes its default.
        alias: its name on the wire, where that is another.
    """

    annotation: Any
    default: Any = _MISSING
    default_factory: Callable[[], Any] | None = None
    alias: str | None = None

    def is_required(self) -> bool:
        return self.default is _MISSING and self.default_factory is None

    def get_default(self) -> Any:
        """A default of its own: containers are copied."""
        if self.default_factory is not None:
            return self.default_factory()
        return copy.deepcopy(self.default)


class _FieldOptions(typing.NamedTuple):
    default: Any
    default_factory: Callable[[], Any] | None
    alias: str | None


def field(
    *, default: Any = _MISSING, default_factory: Callable[[], Any] | None = None, alias: str | None = None
) -> Any:
    """Say in a class body what a field's default or alias is.

    Args:
        default: the default; without it, and without a factory, the field is required.
        default_factory: makes a default for each object.
        alias: the name on the wire. Constructors take both names.
    """
    return _FieldOptions(default, default_factory, alias)


class _Plan:
    """What a model's constructor needs, made when the first object of a class is made."""

    def __init__(self, cls: type[Model]) -> None:
        hints = typing.get_type_hints(cls)
        fields: dict[str, FieldInfo] = {}
        for base in reversed(cls.__mro__):
            for name, raw in get_annotations(base).items():
                if not _is_class_variable(name, raw):
                    fields[name] = _field_info(hints[name], cls.defaults_given.get(name, _MISSING))
        self.fields = fields
        self.checks: dict[str, tuple[str, Check]] = {}
        for name, info in fields.items():
            checks = cls.field_preparations.get(name)
            check = check_for(info.annotation)
            self.checks[name] = name, _after(checks, check) if checks else check
            if info.alias is not None:
                self.checks[info.alias] = self.checks[name]
        # All fields in their order. Constants are shared; containers and what factories make are made for each object.
        self.template = {name: None if info.is_required() else info.default for name, info in fields.items()}
        self.factories = tuple(
            (name, info.default_factory or partial(copy.deepcopy, info.default))
            for name, info in fields.items()
            if info.default_factory is not None or type(info.default) in _COPIED
        )
        self.required = frozenset(name for name, info in fields.items() if info.is_required())
        self.forbid = cls.model_config.get("extra") == "forbid"
        self.keep = cls.model_config.get("extra") == "allow"


def _is_class_variable(name: str, hint: Any) -> bool:
    return (
        name.startswith("_") or name == "model_config" or "ClassVar" in (hint if isinstance(hint, str) else repr(hint))
    )


def _after(prepare: Callable[[Any], Any], check: Check) -> Check:
    def both(value: Any) -> Any:
        return check(prepare(value))

    return both


def _field_info(annotation: Any, given: Any) -> FieldInfo:
    if isinstance(given, _FieldOptions):
        return FieldInfo(annotation, *given)
    # pydantic.Field(...) in a program's own subclass.
    if type(given).__module__.partition(".")[0] == "pydantic" and hasattr(given, "is_required"):
        if given.default_factory is None and given.is_required():
            return FieldInfo(annotation, alias=given.alias)
        return FieldInfo(
            annotation, _MISSING if given.default_factory else given.default, given.default_factory, given.alias
        )
    return FieldInfo(annotation, given)


@dataclass_transform(kw_only_default=True, field_specifiers=(field,))
class Model:
    """An object whose fields are those that the class annotates.

    Its constructor takes keywords, checks and converts them, and copies lists and dicts. Setting a field later checks
    nothing, as in fastapi_poe.

    Raises:
        ValueError: on construction, if a value does not fit; see `poeproto_compat.validation.refusal`.
    """

    __slots__ = ("__dict__", "__weakref__", "_given")
    __hash__ = None  # pyright: ignore[reportAssignmentType]  # mutable

    model_config: ClassVar[Values] = {}
    defaults_given: ClassVar[Values] = {}
    field_preparations: ClassVar[Mapping[str, Callable[[Any], Any]]] = {}
    _plan: ClassVar[_Plan | None] = None
    _given: set[str]

    def __init_subclass__(cls, **_options: Any) -> None:
        cls._plan = None
        values = {
            name: cls.__dict__[name]
            for name, hint in get_annotations(cls).items()
            if name in cls.__dict__ and not _is_class_variable(name, hint)
        }
        cls.defaults_given = {**cls.defaults_given, **values}
        for name in values:
            # A default in the class would hide what __getattr__ and hasattr say of an object without the field.
            delattr(cls, name)

    @classmethod
    def _get_plan(cls) -> _Plan:
        plan = cls.__dict__.get("_plan")
        if plan is None:
            plan = cls._plan = _Plan(cls)
        return plan

    def __init__(self, /, **values: Any) -> None:
        cls = type(self)
        plan = cls.__dict__.get("_plan") or cls._get_plan()
        state = self.__dict__
        state.update(plan.template)
        for name, make in plan.factories:
            state[name] = make()
        checks = plan.checks
        given: set[str] = set()
        problems: list[Problem] = []
        for key, value in values.items():
            found = checks.get(key)
            if found is None:
                problems += self._take_unknown(plan, key, value)
                continue
            name, check = found
            given.add(name)
            try:
                state[name] = check(value)
            except Invalid as error:
                problems += error.inside(key)
        if not plan.required <= given:
            problems += [
                Problem("missing", (plan.fields[name].alias or name,), "This field is required", values)
                for name in plan.fields
                if name in plan.required and name not in given
            ]
        if problems:
            raise refusal(cls.__name__, problems)
        object.__setattr__(self, "_given", given)

    def _take_unknown(self, plan: _Plan, key: str, value: Any) -> list[Problem]:
        if plan.forbid:
            known = ", ".join(info.alias or name for name, info in plan.fields.items())
            return [Problem("extra_forbidden", (key,), f"There is no field of this name; there are {known}", value)]
        if plan.keep:
            self.__dict__[key] = value
        return []

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self.__dict__ or name in type(self)._get_plan().fields:
            self.__dict__[name] = value
            self._given.add(name)
        elif name.startswith("_") or isinstance(getattr(type(self), name, None), property):
            object.__setattr__(self, name, value)
        elif self.model_config.get("extra") == "allow":
            self.__dict__[name] = value
        else:
            raise ValueError(f"{type(self).__name__} has no field {name!r}")

    # --- construction from others

    @classmethod
    def _checked(cls, value: Any) -> Self:
        """As `model_validate`, raising Invalid: the problems belong to a greater value."""
        if not isinstance(value, Mapping):
            text = f"Expected {with_article(cls.__name__)} or a dict, not {type(value).__name__}"
            raise Invalid.because("model_type", text, value)
        items = typing.cast("Mapping[Any, Any]", value).items()
        try:
            return cls(**{str(key): item for key, item in items})
        except ValueError as error:
            errors = typing.cast("Any", error).errors()
            raise Invalid(
                [Problem(each["type"], each["loc"], each["msg"], each["input"]) for each in errors]
            ) from error

    @classmethod
    def model_validate(cls, obj: Any, **_options: Any) -> Self:
        """An object from a dict; an object of the class is returned as it is.

        Raises:
            ValueError: if it does not fit.
        """
        if isinstance(obj, cls):
            return obj
        try:
            return cls._checked(obj)
        except Invalid as error:
            raise refusal(cls.__name__, error.problems) from error

    @classmethod
    def model_validate_json(cls, json_data: str | bytes | bytearray, **_options: Any) -> Self:
        """An object from JSON.

        Raises:
            ValueError: if it is not JSON, or does not fit.
        """
        return cls.model_validate(json.loads(json_data))

    @classmethod
    def model_construct(cls, _fields_set: set[str] | None = None, **values: Any) -> Self:
        """An object from values that are not checked."""
        self = cls.__new__(cls)
        plan = cls._get_plan()
        self.__dict__.update((name, value) for name, value in plan.template.items() if name not in plan.required)
        for name, make in plan.factories:
            self.__dict__[name] = make()
        named = {(plan.checks[key][0] if key in plan.checks else key): value for key, value in values.items()}
        self.__dict__.update(named)
        object.__setattr__(self, "_given", set(named) if _fields_set is None else set(_fields_set))
        return self

    # --- as other values

    def model_dump(
        self,
        *,
        mode: str = "python",
        include: Any = None,
        exclude: Any = None,
        by_alias: bool | None = None,
        exclude_unset: bool = False,
        exclude_defaults: bool = False,
        exclude_none: bool = False,
        **_options: Any,
    ) -> Values:
        """The fields as a dict, and models in them as dicts.

        Args:
            mode: "python", or "json" for values that JSON has.
            include: the names of the fields to take; all by default.
            exclude: the names of the fields to leave out.
            by_alias: with the names on the wire.
            exclude_unset: leave out what neither the constructor nor an assignment has set.
            exclude_defaults: leave out what equals its default.
            exclude_none: leave out what is None.
        """
        options: Values = {
            "mode": mode,
            "by_alias": by_alias,
            "exclude_unset": exclude_unset,
            "exclude_defaults": exclude_defaults,
            "exclude_none": exclude_none,
        }
        fields = self._get_plan().fields
        dumped: Values = {}
        for name, value in self.__dict__.items():
            info = fields.get(name)
            if (
                (include is not None and name not in include)
                or (exclude is not None and name in exclude and _is_whole(exclude, name))
                or (exclude_unset and name not in self._given)
                or (exclude_none and value is None)
                or (exclude_defaults and info is not None and not info.is_required() and value == info.get_default())
            ):
                continue
            key = info.alias if by_alias and info is not None and info.alias is not None else name
            dumped[key] = _dumped(value, options)
        return dumped

    def model_dump_json(self, *, indent: int | None = None, **options: Any) -> str:
        """The fields as JSON; the options are those of `model_dump`."""
        separators = (",", ":") if indent is None else None
        dumped = self.model_dump(mode="json", **options)
        return json.dumps(dumped, indent=indent, separators=separators, ensure_ascii=False)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy.

        Args:
            update: fields to change in it; they are not checked.
            deep: copy the values of the fields too.
        """
        other = copy.deepcopy(self) if deep else copy.copy(self)
        if update:
            other.__dict__.update(update)
            other._given.update(update)
        return other

    def __copy__(self) -> Self:
        other = type(self).__new__(type(self))
        other.__dict__.update(self.__dict__)
        object.__setattr__(other, "_given", set(self._given))
        return other

    def __deepcopy__(self, memo: Any = None) -> Self:
        other = type(self).__new__(type(self))
        other.__dict__.update(copy.deepcopy(self.__dict__, memo))
        object.__setattr__(other, "_given", set(self._given))
        return other

    @property
    def model_fields_set(self) -> set[str]:
        """The names of the fields that the constructor or an assignment has set."""
        return self._given

    @property
    def model_extra(self) -> Values | None:
        """Unknown keys, if the class keeps them."""
        fields = self._get_plan().fields
        keep = self.model_config.get("extra") == "allow"
        return {name: value for name, value in self.__dict__.items() if name not in fields} if keep else None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Model):
            return NotImplemented
        return type(self) is type(other) and self.__dict__ == other.__dict__

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        yield from self.__dict__.items()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(self._shown())})"

    def __str__(self) -> str:
        return " ".join(self._shown())

    def _shown(self) -> list[str]:
        return [f"{name}={value!r}" for name, value in self.__dict__.items()]

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        """Lets pydantic's models and FastAPI's routes have fields of this type. Only pydantic calls it."""
        from pydantic_core import core_schema

        dump = core_schema.plain_serializer_function_ser_schema(cls.model_dump)
        return core_schema.no_info_plain_validator_function(cls.model_validate, serialization=dump)

    # --- pydantic's names of old, which public programs use

    def dict(self, **options: Any) -> Values:
        """As `model_dump`."""
        _warn("dict", "model_dump")
        return self.model_dump(**options)

    def json(self, **options: Any) -> str:
        """As `model_dump_json`."""
        _warn("json", "model_dump_json")
        return self.model_dump_json(**options)

    def copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """As `model_copy`."""
        _warn("copy", "model_copy")
        return self.model_copy(update=update, deep=deep)

    @classmethod
    def parse_obj(cls, obj: Any) -> Self:
        """As `model_validate`."""
        _warn("parse_obj", "model_validate")
        return cls.model_validate(obj)

    @classmethod
    def parse_raw(cls, b: str | bytes) -> Self:
        """As `model_validate_json`."""
        _warn("parse_raw", "model_validate_json")
        return cls.model_validate_json(b)

    @classmethod
    def construct(cls, _fields_set: set[str] | None = None, **values: Any) -> Self:
        """As `model_construct`."""
        _warn("construct", "model_construct")
        return cls.model_construct(_fields_set, **values)


class _Fields:
    """The class attribute `model_fields`."""

    def __get__(self, instance: object, owner: type[Model]) -> Mapping[str, FieldInfo]:
        return owner._get_plan().fields  # pyright: ignore[reportPrivateUsage]


Model.model_fields = _Fields()  # pyright: ignore[reportAttributeAccessIssue]


def _warn(old: str, new: str) -> None:
    warnings.warn(f"the method {old} is deprecated; use {new}", DeprecationWarning, stacklevel=3)


def _is_whole(names: Any, name: str) -> bool:
    return not isinstance(names, Mapping) or names[name] is True or names[name] is ...


def _dumped(value: Any, options: Mapping[str, Any]) -> Any:
    if isinstance(value, Model):
        return value.model_dump(**options)
    if isinstance(value, Mapping):
        items = typing.cast("Mapping[Any, Any]", value).items()
        return {key: _dumped(item, options) for key, item in items}
    if isinstance(value, (list, tuple)):
        return [_dumped(item, options) for item in typing.cast("list[Any]", value)]
    return value

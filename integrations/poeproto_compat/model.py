"""The base class of fastapi_poe's types: mutable objects with checked fields, and the methods of pydantic's models.

It has the methods that programs use: keyword construction, `model_copy`, `model_dump`, `model_validate` and their
relatives, the older `dict`, `json`, `copy`, `parse_obj`, equality, and fields that a program may set.
"""

from __future__ import annotations

import copy
import inspect
import json
import sys
import typing
import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, ClassVar, Self, TypeAlias, dataclass_transform

from poeproto_compat.serialization import Options, Selection, dumped
from poeproto_compat.validation import Check, Invalid, Problem, check_for, refusal, unconverted_type, with_article

# In the class below, `dict` is a method.
Values: TypeAlias = dict[str, Any]

_MISSING: Any = object()
# Further options of pydantic's `model_dump`: checks of its own models, and options without effect on these types.
_PYDANTICS_OPTIONS = frozenset(
    {"context", "exclude_computed_fields", "polymorphic_serialization", "round_trip", "serialize_as_any", "warnings"}
)
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

    def get_default(self, *, call_default_factory: bool = True, **_options: Any) -> Any:
        """A default of its own: containers are copied. None for one that a factory makes, unless it is called."""
        if self.default_factory is not None:
            return self.default_factory() if call_default_factory else None
        return copy.deepcopy(self.default)


class _FieldOptions(typing.NamedTuple):
    default: Any
    default_factory: Callable[[], Any] | None
    alias: str | None


def field(
    *, default: Any = _MISSING, default_factory: Callable[[], Any] | None = None, alias: str | None = None
) -> Any:
    """Declare the default or alias of a field in a class body.

    Args:
        default: the default; without it, and without a factory, the field is required.
        default_factory: makes a default for each object.
        alias: the name on the wire. Constructors take both names.
    """
    return _FieldOptions(default, default_factory, alias)


# A field: its name, the type whose values need no check (if any), and the check of all other values.
FieldCheck: TypeAlias = tuple[str, type[Any] | None, Check]


class _Plan:
    """The steps of a model's constructor; made with the first object of a class."""

    def __init__(self, cls: type[Model]) -> None:
        hints = typing.get_type_hints(cls, localns=cls.__dict__.get("_model_namespace"))
        fields: dict[str, FieldInfo] = {}
        for base in reversed(cls.__mro__):
            for name, raw in inspect.get_annotations(base).items():
                if not _is_class_variable(name, raw):
                    fields[name] = _field_info(hints[name], cls.model_defaults_given.get(name, _MISSING))
        self.fields = fields
        self.checks: dict[str, FieldCheck] = {}
        for name, info in fields.items():
            prepare = cls.model_field_preparations.get(name)
            check = check_for(info.annotation)
            if prepare is None:
                self.checks[name] = name, unconverted_type(info.annotation), check
            else:
                self.checks[name] = name, None, _after(prepare, check)
            if info.alias is not None:
                self.checks[info.alias] = self.checks[name]
        # All fields in their order. Constants are shared; containers and values of factories are made for each object.
        self.template = {name: None if info.is_required() else info.default for name, info in fields.items()}
        self.factories = tuple(
            (name, info.default_factory or partial(copy.deepcopy, info.default))
            for name, info in fields.items()
            if info.default_factory is not None or type(info.default) in _COPIED
        )
        self.required = frozenset(name for name, info in fields.items() if info.is_required())
        self.has_private = bool(cls.model_private_defaults)
        self.has_post_init = cls.model_post_init is not Model.model_post_init
        self.forbid = cls.model_config.get("extra") == "forbid"
        self.keep = cls.model_config.get("extra") == "allow"


def _in_order(problems: list[Problem], checks: Mapping[str, FieldCheck]) -> list[Problem]:
    """In the order of the fields; those of unknown names come last."""
    order = {key: index for index, key in enumerate(checks)}
    return sorted(problems, key=lambda problem: order.get(str(problem.where[0]), len(order)))


def _problems_of(error: ValueError, value: Any) -> list[Problem]:
    """The problems that a constructor has found. A program's own constructor may raise any ValueError."""
    errors: Callable[[], list[Values]] | None = getattr(error, "errors", None)
    if errors is None:
        return [Problem("value_error", (), str(error), value)]
    return [Problem(each["type"], each["loc"], each["msg"], each["input"]) for each in errors()]


def _is_private(name: str, value: Any) -> bool:
    """Whether a name in a class body is an attribute of the objects, as opposed to a method or a name of Python's."""
    is_private = name.startswith("_") and not name.startswith("__") and not name.startswith("_abc_")
    kind = typing.cast("type[Any]", type(value))
    return (
        is_private and not name.startswith("_model_") and not hasattr(kind, "__get__") and not isinstance(value, type)
    )


def _private_values(defaults: Values) -> Values:
    values: Values = {}
    for name, default in defaults.items():
        if type(default).__name__ == "ModelPrivateAttr":  # pydantic.PrivateAttr(...)
            factory = default.default_factory
            values[name] = default.get_default() if factory is None else factory()
        else:
            values[name] = copy.deepcopy(default)
    return values


def _config_of(base: type) -> Values:
    config: Values = getattr(base, "model_config", {})
    return config


def _options_of(config: type | None) -> Values:
    """The options of an inner class `Config`, the older form of `model_config`."""
    return {name: value for name, value in vars(config or object).items() if not name.startswith("_")}


def _refuse_decorators(cls: type) -> None:
    """Refuse validators and serialisers, which would be ignored otherwise."""
    for name, value in vars(cls).items():
        if type(value).__name__ == "PydanticDescriptorProxy":
            raise TypeError(
                f"{cls.__qualname__}.{name}: pydantic's validators and serialisers have no effect on this class, which "
                "is not a pydantic model; check the values in __init__, after super().__init__(**values)"
            )


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

    __slots__ = ("__dict__", "__pydantic_private__", "__weakref__", "_given")
    __hash__ = None  # pyright: ignore[reportAssignmentType]  # mutable

    model_config: ClassVar[Values] = {}
    model_defaults_given: ClassVar[Values] = {}
    # Attributes of a program's class with a leading underscore: each object has its own, and they are not fields.
    model_private_defaults: ClassVar[Values] = {}
    model_field_preparations: ClassVar[Mapping[str, Callable[[Any], Any]]] = {}
    model_computed_fields: ClassVar[Values] = {}
    _model_plan: ClassVar[_Plan | None] = None
    _model_namespace: ClassVar[Values | None] = None
    _given: set[str]
    _model_dict: Values  # the object's __dict__, without the property of a subclass
    __pydantic_private__: Values

    def __init_subclass__(cls, **options: Any) -> None:
        cls._model_plan = None
        if "<locals>" in cls.__qualname__:
            # Annotations that are strings name classes of the function around, as pydantic's may.
            cls._model_namespace = {**vars(cls), **sys._getframe(1).f_locals}  # pyright: ignore[reportPrivateUsage]
        _refuse_decorators(cls)
        own: Values = {**_options_of(cls.__dict__.get("Config")), **cls.__dict__.get("model_config", {}), **options}
        # The class before it has merged those of all before, which may come from several bases.
        inherited = {key: value for base in reversed(cls.__bases__) for key, value in _config_of(base).items()}
        cls.model_config = {**inherited, **own}
        annotated = [name for name, hint in inspect.get_annotations(cls).items() if not _is_class_variable(name, hint)]
        values = {name: cls.__dict__[name] for name in annotated if name in cls.__dict__}
        # A field that is annotated again without a default has none.
        inherited_values = {name: each for name, each in cls.model_defaults_given.items() if name not in annotated}
        private = {name: value for name, value in vars(cls).items() if _is_private(name, value)}
        cls.model_defaults_given = {**inherited_values, **values}
        cls.model_private_defaults = {**cls.model_private_defaults, **private}
        for name in (*values, *private):
            # A default in the class would change the results of __getattr__ and hasattr for an object without the
            # field.
            delattr(cls, name)

    @classmethod
    def _model_get_plan(cls) -> _Plan:
        plan = cls.__dict__.get("_model_plan")
        if plan is None:
            plan = cls._model_plan = _Plan(cls)
        return plan

    def __init__(self, /, **values: Any) -> None:
        cls = type(self)
        plan = cls.__dict__.get("_model_plan") or cls._model_get_plan()
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
                problems += self._model_take_unknown(plan, key, value)
                if plan.keep:
                    given.add(key)
                continue
            name, unconverted, check = found
            given.add(name)
            if type(value) is unconverted:
                state[name] = value
                continue
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
            raise refusal(cls.__name__, _in_order(problems, checks))
        set_given(self, given)
        if plan.has_private:
            _set_private(self, _private_values(cls.model_private_defaults))
        if plan.has_post_init:
            self.model_post_init(None)

    def _model_take_unknown(self, plan: _Plan, key: str, value: Any) -> list[Problem]:
        if plan.forbid:
            known = ", ".join(info.alias or name for name, info in plan.fields.items())
            return [Problem("extra_forbidden", (key,), f"There is no field of this name; there are {known}", value)]
        if plan.keep:
            self.__dict__[key] = value
        return []

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self.__dict__ or name in type(self)._model_get_plan().fields:
            self.__dict__[name] = value
            self._given.add(name)
        elif hasattr(getattr(type(self), name, None), "__set__"):
            object.__setattr__(self, name, value)
        elif name.startswith("_"):
            self._model_get_private()[name] = value
        elif self.model_config.get("extra") == "allow":
            self.__dict__[name] = value
            self._given.add(name)
        else:
            raise ValueError(f"{type(self).__name__} has no field {name!r}")

    if not typing.TYPE_CHECKING:  # a type checker would accept any name as an attribute

        def __getattr__(self, name: str) -> Any:
            if name.startswith("_") and not name.startswith("__") and name in self._model_get_private():
                return self._model_get_private()[name]
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def _model_get_private(self) -> Values:
        """The values of the private attributes, whose names begin with an underscore: they are not fields."""
        try:
            return self.__pydantic_private__
        except AttributeError:
            _set_private(self, {})
            return self.__pydantic_private__

    # --- construction from others

    @classmethod
    def _model_checked(cls, value: Any) -> Self:
        """As `model_validate`, raising Invalid: the problems belong to a greater value."""
        if not isinstance(value, Mapping):
            text = f"Expected {with_article(cls.__name__)} or a dict, not {type(value).__name__}"
            raise Invalid.because("model_type", text, value)
        items = typing.cast("Mapping[Any, Any]", value).items()
        problems: list[Problem] = []
        if cls.model_config.get("extra") == "forbid":
            text = "A field's name is a string"
            problems = [Problem("invalid_key", (key,), text, key) for key, _ in items if not isinstance(key, str)]
        try:
            made = cls(**{key: item for key, item in items if isinstance(key, str)})
        except ValueError as error:
            raise Invalid([*_problems_of(error, value), *problems]) from error
        if problems:
            raise Invalid(problems)
        return made

    @classmethod
    def model_validate(cls, obj: Any, **_options: Any) -> Self:
        """An object from a dict; an object of the class is returned as it is.

        Raises:
            ValueError: if it does not fit.
        """
        if isinstance(obj, cls):
            return obj
        try:
            return cls._model_checked(obj)
        except Invalid as error:
            raise refusal(cls.__name__, error.problems) from error

    @classmethod
    def model_validate_json(cls, json_data: str | bytes | bytearray, **_options: Any) -> Self:
        """An object from JSON.

        Raises:
            ValueError: if it is not JSON, or does not fit.
        """
        if not isinstance(json_data, (str, bytes, bytearray)):  # pyright: ignore[reportUnnecessaryIsInstance]
            message = f"Expected JSON as a string or bytes, not {type(json_data).__name__}"
            raise refusal(cls.__name__, [Problem("json_type", (), message, json_data)])
        try:
            value = json.loads(json_data)
        except ValueError as error:
            raise refusal(cls.__name__, [Problem("json_invalid", (), f"Expected JSON: {error}", json_data)]) from error
        return cls.model_validate(value)

    @classmethod
    def model_construct(cls, _fields_set: set[str] | None = None, **values: Any) -> Self:
        """An object from values that are not checked."""
        self = cls.__new__(cls)
        plan = cls._model_get_plan()
        self.__dict__.update((name, value) for name, value in plan.template.items() if name not in plan.required)
        for name, make in plan.factories:
            self.__dict__[name] = make()
        named = {plan.checks[key][0]: value for key, value in values.items() if key in plan.checks}
        if plan.keep:
            named = {**values, **named}
        self.__dict__.update(named)
        set_given(self, set(named) if _fields_set is None else set(_fields_set))
        if cls.model_private_defaults:
            _set_private(self, _private_values(cls.model_private_defaults))
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
        fallback: Callable[[Any], Any] | None = None,
        **options: Any,
    ) -> Values:
        """The fields as a dict, and models in them as dicts.

        Args:
            mode: "python", or "json" for values that JSON has.
            include: the fields to include, as a set of names, or a dict from a name to the fields to include within it;
                all by default.
            exclude: the fields to leave out, in the same form.
            by_alias: with the names on the wire.
            exclude_unset: leave out what neither the constructor nor an assignment has set.
            exclude_defaults: leave out what equals its default.
            exclude_none: leave out what is None.
            fallback: with the mode "json", makes a value of an object that has no JSON value.
            options: pydantic's others, which have no effect here.

        Raises:
            ValueError: with the mode "json", if an object has no JSON value.
            TypeError: for an option that pydantic does not have.
        """
        if unknown := options.keys() - _PYDANTICS_OPTIONS:
            raise TypeError(f"model_dump has no option {', '.join(sorted(unknown))}")
        for_models: Values = {
            "mode": mode,
            "by_alias": by_alias,
            "exclude_unset": exclude_unset,
            "exclude_defaults": exclude_defaults,
            "exclude_none": exclude_none,
            "fallback": fallback,
        }
        dumping = Options(mode == "json", for_models, fallback)
        selection = Selection(include, exclude)
        fields = self._model_get_plan().fields
        dump: Values = {}
        for name, value in Model.__repr_args__(self):
            info = fields.get(name)
            if (
                not selection.takes(name)
                or (exclude_unset and name not in self._given)
                or (exclude_none and value is None)
                or (exclude_defaults and info is not None and not info.is_required() and value == info.get_default())
            ):
                continue
            key = info.alias if by_alias and info is not None and info.alias is not None else name
            dump[key] = dumped(value, dumping, selection.inside(name))
        return dump

    def model_dump_json(self, *, indent: int | None = None, **options: Any) -> str:
        """The fields as JSON; the options are those of `model_dump`.

        Raises:
            ValueError: if an object has no JSON value.
        """
        separators = (",", ":") if indent is None else None
        dump = self.model_dump(mode="json", **options)
        return json.dumps(dump, indent=indent, separators=separators, ensure_ascii=False)

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
        set_given(other, set(self._given))
        _set_private(other, {**self._model_get_private()})
        return other

    def __deepcopy__(self, memo: Any = None) -> Self:
        other = type(self).__new__(type(self))
        other.__dict__.update(copy.deepcopy(self.__dict__, memo))
        set_given(other, set(self._given))
        _set_private(other, copy.deepcopy(self._model_get_private(), memo))
        return other

    @property
    def model_fields_set(self) -> set[str]:
        """The names of the fields that the constructor or an assignment has set."""
        return self._given

    @property
    def model_extra(self) -> Values | None:
        """Unknown keys, if the class keeps them."""
        fields = self._model_get_plan().fields
        keep = self.model_config.get("extra") == "allow"
        return {name: value for name, value in self.__dict__.items() if name not in fields} if keep else None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Model):
            return NotImplemented
        if type(self) is not type(other) or self.__dict__ != other.__dict__:
            return False
        return not self.model_private_defaults or self.__pydantic_private__ == other.__pydantic_private__

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        yield from self.__dict__.items()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(self._model_shown())})"

    def __str__(self) -> str:
        return " ".join(self._model_shown())

    def _model_shown(self) -> list[str]:
        return [f"{name}={value!r}" for name, value in self.__repr_args__()]

    def __repr_args__(self) -> Iterator[tuple[str, Any]]:
        """The fields, and the unknown keys if the class keeps them; not further names that `model_copy` was given."""
        plan, values = self._model_get_plan(), self.__dict__
        if plan.keep or values.keys() <= plan.fields.keys():
            return iter(values.items())
        return iter([item for item in values.items() if item[0] in plan.fields])

    def model_post_init(self, context: Any, /) -> None:
        """Called after the constructor has set the fields, for a program's class to override."""

    # --- inside pydantic's models and FastAPI's routes

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        """Lets pydantic's models and FastAPI's routes have fields of this type. Only pydantic calls it."""
        from pydantic_core import core_schema

        def dump(value: Self, info: Any) -> Any:
            return value.model_dump(
                mode=info.mode,
                include=info.include,
                exclude=info.exclude,
                by_alias=info.by_alias,
                exclude_unset=info.exclude_unset,
                exclude_defaults=info.exclude_defaults,
                exclude_none=info.exclude_none,
            )

        return core_schema.no_info_plain_validator_function(
            cls.model_validate,
            serialization=core_schema.plain_serializer_function_ser_schema(dump, info_arg=True),
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: Any) -> Values:
        """Lets FastAPI describe routes with fields of this type. Only pydantic calls it."""
        return cls.model_json_schema()

    @classmethod
    def model_json_schema(cls, **_options: Any) -> Values:
        """The JSON Schema of the class, with those of its fields inside."""
        from poeproto_compat.json_schema import schema_of

        return schema_of(cls)

    @classmethod
    def model_rebuild(cls, **_options: Any) -> None:
        """Read the annotations again, when the names in them have been defined."""
        cls._model_plan = None

    # --- pydantic's names of old, which public programs use

    def dict(self, **options: Any) -> Values:
        """As `model_dump`."""
        _warn("dict", "model_dump")
        return self.model_dump(**options)

    def json(self, **options: Any) -> str:
        """As `model_dump_json`."""
        _warn("json", "model_dump_json")
        return self.model_dump_json(**options)

    def copy(
        self, *, include: Any = None, exclude: Any = None, update: Mapping[str, Any] | None = None, deep: bool = False
    ) -> Self:
        """As `model_copy`, of some fields only if `include` or `exclude` is given."""
        _warn("copy", "model_copy")
        other = self.model_copy(update=update, deep=deep)
        selection = Selection(include, exclude)
        for name in [name for name in other.__dict__ if name not in (update or ()) and not selection.takes(name)]:
            del other.__dict__[name]
            if exclude:  # pydantic leaves the names of the fields set, if `include` alone is given
                other._given.discard(name)
        return other

    @classmethod
    def parse_obj(cls, obj: Any) -> Self:
        """As `model_validate`."""
        _warn("parse_obj", "model_validate")
        return cls.model_validate(obj)

    @classmethod
    def validate(cls, value: Any) -> Self:
        """As `model_validate`."""
        _warn("validate", "model_validate")
        return cls.model_validate(value)

    @classmethod
    def update_forward_refs(cls, **_names: Any) -> None:
        """As `model_rebuild`."""
        _warn("update_forward_refs", "model_rebuild")
        cls.model_rebuild()

    @classmethod
    def schema(cls, **_options: Any) -> Values:
        """As `model_json_schema`."""
        _warn("schema", "model_json_schema")
        return cls.model_json_schema()

    @classmethod
    def schema_json(cls, **options: Any) -> str:
        """As `model_json_schema`, as a string."""
        _warn("schema_json", "model_json_schema")
        return json.dumps(cls.model_json_schema(), **options)

    @classmethod
    def parse_raw(cls, b: str | bytes, **_options: Any) -> Self:
        """As `model_validate_json`."""
        _warn("parse_raw", "model_validate_json")
        try:
            value = json.loads(b)
        except ValueError as error:
            problem = Problem("value_error.jsondecode", ("__root__",), f"Expected JSON: {error}", b)
            raise refusal(cls.__name__, [problem]) from error
        return cls.model_validate(value)

    @classmethod
    def construct(cls, _fields_set: set[str] | None = None, **values: Any) -> Self:
        """As `model_construct`."""
        _warn("construct", "model_construct")
        return cls.model_construct(_fields_set, **values)


# The slots, without `Model.__setattr__` and without the properties of subclasses.
Model._model_dict = Model.__dict__["__dict__"]  # pyright: ignore[reportPrivateUsage]
get_fields: Callable[[Model], Values] = Model.__dict__["__dict__"].__get__
set_fields: Callable[[Model, Values], None] = Model.__dict__["__dict__"].__set__
get_given: Callable[[Model], set[str]] = Model.__dict__["_given"].__get__
set_given: Callable[[Model, set[str]], None] = Model.__dict__["_given"].__set__
_set_private: Callable[[Model, Values], None] = Model.__dict__["__pydantic_private__"].__set__


class _OfClass:
    """An attribute of classes that needs their plan, and so is made when it is read."""

    def __init__(self, make: Callable[[type[Model]], Any]) -> None:
        self._make = make

    def __get__(self, instance: object, owner: type[Model]) -> Any:
        return self._make(owner)


def _fields_of(cls: type[Model]) -> Mapping[str, FieldInfo]:
    return cls._model_get_plan().fields  # pyright: ignore[reportPrivateUsage]


def _signature(cls: type[Model]) -> inspect.Signature:
    parameters = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if info.is_required() else info.get_default(),
            annotation=info.annotation,
        )
        for name, info in _fields_of(cls).items()
    ]
    return inspect.Signature(parameters)


Model.model_fields = Model.__fields__ = _OfClass(_fields_of)  # pyright: ignore[reportAttributeAccessIssue]
Model.__signature__ = _OfClass(_signature)  # pyright: ignore[reportAttributeAccessIssue]
Model.__fields_set__ = Model.model_fields_set  # pyright: ignore[reportAttributeAccessIssue]


def _warn(old: str, new: str) -> None:
    warnings.warn(f"the method {old} is deprecated; use {new}", DeprecationWarning, stacklevel=3)

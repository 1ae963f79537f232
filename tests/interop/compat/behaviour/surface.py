"""The programming interface of fastapi_poe, enumerated from itself: every part of it is a row of the table."""

from __future__ import annotations

import dataclasses
import inspect
import typing
from collections.abc import Iterator
from importlib import import_module
from types import FunctionType, ModuleType
from typing import Any

import fastapi_poe
import fastapi_poe.types as types
import pydantic

MODULE_NAMES = ("fastapi_poe", "types", "client", "base", "templates", "sync_utils")
PoeBot = fastapi_poe.PoeBot
# Values that a bot yields besides records.
RESPONSES = ("PartialResponse", "ErrorResponse", "MetaResponse", "DataResponse")
REQUESTS = ("QueryRequest", "SettingsRequest", "ReportFeedbackRequest", "ReportReactionRequest", "ReportErrorRequest")


def module(name: str) -> ModuleType:
    return import_module("fastapi_poe" if name == "fastapi_poe" else f"fastapi_poe.{name}")


def names(name: str) -> list[str]:
    """The public names of a module that fastapi_poe has defined; not those of other libraries that it imports."""
    if name == "fastapi_poe":
        return [*fastapi_poe.__all__, *(each for each in MODULE_NAMES if each != "fastapi_poe")]
    return [each for each, value in vars(module(name)).items() if not each.startswith("_") and _is_own(each, value)]


def _is_own(name: str, value: Any) -> bool:
    if isinstance(value, ModuleType) or name in ("T", "annotations", "Message"):  # the last is Starlette's
        return False
    if isinstance(value, (type, FunctionType)):
        return value.__module__.startswith("fastapi_poe")
    home = getattr(value, "__module__", "")
    return name not in typing.__all__ or home.startswith("fastapi_poe")


def functions() -> list[str]:
    """The public functions, as module.name."""
    return [
        f"{each}.{name}"
        for each in MODULE_NAMES[1:]
        for name, value in vars(module(each)).items()
        if isinstance(value, FunctionType) and value.__module__ == f"fastapi_poe.{each}" and not name.startswith("_")
        if name != "http_exception_handler"  # FastAPI's
    ]


def exceptions() -> list[str]:
    """The exceptions, as module.name."""
    return [
        f"{each}.{name}"
        for each in MODULE_NAMES[1:]
        for name, value in vars(module(each)).items()
        if isinstance(value, type) and issubclass(value, Exception) and value.__module__ == f"fastapi_poe.{each}"
    ]


def methods(cls: type[Any]) -> list[str]:
    """The public methods of a class."""
    return [name for name, value in vars(cls).items() if not name.startswith("_") and hasattr(value, "__get__")]


def models() -> dict[str, type[pydantic.BaseModel]]:
    """The types that have fields."""
    return {
        name: value
        for name, value in vars(types).items()
        if isinstance(value, type) and issubclass(value, pydantic.BaseModel) and value.__module__ == types.__name__
    }


def rows() -> Iterator[str]:
    """The rows that the table must have."""
    yield from (f"names of {name}" for name in MODULE_NAMES)
    for path in functions():
        yield f"signature of {path}"
        function: Any = getattr(module(path.partition(".")[0]), path.partition(".")[2])
        yield from (f"{path}({name})" for name in inspect.signature(function).parameters if not name.startswith("_"))
    yield from (f"exception {path}" for path in exceptions())
    yield from (f"PoeBot({field.name})" for field in dataclasses.fields(PoeBot))
    for name in methods(PoeBot):
        yield f"signature of PoeBot.{name}"
        parameters = inspect.signature(getattr(PoeBot, name)).parameters
        yield from (f"PoeBot.{name}({each})" for each in parameters if each != "self")
        if set(parameters) <= {"self"}:
            yield f"PoeBot.{name}()"
    for name, model in models().items():
        yield f"{name}()"
        yield from (f"{name}.{field}" for field in model.model_fields)
        yield from (f"{name}.{method}()" for method in methods(model) if method in ("from_dict",))
    yield from (f"any type: {name}" for name in dir(pydantic.BaseModel) if not name.startswith("_"))
    for name in RESPONSES:
        yield from (f"yielding {name}({field})" for field in models()[name].model_fields)
    yield from (f"served SettingsResponse({field})" for field in models()["SettingsResponse"].model_fields)
    for name in REQUESTS:
        yield from (f"received {name}.{field}" for field in models()[name].model_fields)
    for kind in typing.get_args(models()["BaseRequest"].model_fields["type"].annotation):
        yield f"request of type {kind}"

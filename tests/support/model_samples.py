"""Values that fit pydantic's models, made from the type hints of their fields."""

from __future__ import annotations

import typing
from typing import Any, Literal

import pydantic


def sample(hint: Any) -> Any:
    """A value that fits a type hint."""
    arguments = typing.get_args(hint)
    if typing.get_origin(hint) is list:
        return [sample(arguments[0])]
    if typing.get_origin(hint) is dict:
        return {"k": 1}
    if isinstance(hint, type) and issubclass(hint, pydantic.BaseModel):
        return required(hint)
    if typing.get_origin(hint) is Literal:
        return arguments[0]
    simple: dict[Any, Any] = {str: "s", int: 3, float: 2.5, bool: True}
    return simple[hint] if hint in simple else sample(arguments[0]) if arguments else {"x": 1}


def required(model: type[pydantic.BaseModel]) -> dict[str, Any]:
    """Values that fit the fields without which no object can be made."""
    return {name: sample(field.annotation) for name, field in model.model_fields.items() if field.is_required()}


def models_in(hint: Any) -> list[type[pydantic.BaseModel]]:
    """The models that a type hint names."""
    if isinstance(hint, type) and issubclass(hint, pydantic.BaseModel):
        return [hint]
    return [model for each in typing.get_args(hint) for model in models_in(each)]

"""Cases: the names of the modules, the signatures of functions and methods, and the exceptions."""

# The arguments of both libraries, many of them wrong, in lambdas without annotations.
# pyright: basic, reportArgumentType=false, reportInvalidTypeForm=false

from __future__ import annotations

import collections.abc
import copy
import inspect
import pickle
from collections.abc import Iterator
from typing import Any, get_args, get_origin

from .cases import Case, Side, each_case
from .surface import MODULE_NAMES, PoeBot, exceptions, functions, methods, names

FRAMEWORK = {"LoggingMiddleware", "http_bearer", "http_exception_handler"}
TEMPLATES = {"TEXT_ATTACHMENT_TEMPLATE", "URL_ATTACHMENT_TEMPLATE", "IMAGE_VISION_ATTACHMENT_TEMPLATE"}


def module_of(side: Side, name: str) -> Any:
    return side.fp if name == "fastapi_poe" else getattr(side, name)


def kind_of(value: Any) -> Any:
    """The kind of object that a name stands for."""
    if isinstance(value, type):
        return "class", value.__name__
    if get_origin(value) is collections.abc.Callable:
        return "a function's type"
    if get_args(value):
        return "type", sorted(getattr(each, "__name__", repr(each)) for each in get_args(value))
    if callable(value):
        return "function"
    return "value", value if isinstance(value, (str, int)) else type(value)


def parameters_of(function: Any) -> list[Any]:
    return [
        (each.name, each.kind.name, default_of(each.default))
        for each in inspect.signature(function).parameters.values()
    ]


def default_of(default: Any) -> Any:
    return "a function" if inspect.isfunction(default) else default


def by_path(root: Any, path: str) -> Any:
    for name in path.split("."):
        root = getattr(root, name)
    return root


def cases() -> Iterator[Case]:
    for module in MODULE_NAMES:
        for name in names(module):
            differs = "words" if name in TEMPLATES else "application" if name in FRAMEWORK else None
            yield Case(
                f"names of {module}",
                name,
                lambda side, module=module, name=name: kind_of(getattr(module_of(side, module), name)),
                differs,
            )
    yield Case("names of fastapi_poe", "__all__", lambda side: sorted(side.fp.__all__))
    yield Case("names of fastapi_poe", "an unknown name", lambda side: side.fp.Nothing)
    for path in functions():
        yield Case(f"signature of {path}", path, lambda side, path=path: parameters_of(by_path(side, path)),
                   "incomplete" if path in LENIENT else None)  # fmt: skip
    for name in methods(PoeBot):
        yield Case(
            f"signature of PoeBot.{name}", name, lambda side, name=name: parameters_of(getattr(side.fp.PoeBot, name))
        )
    for path in exceptions():
        yield from each_case(f"exception {path}", exception_inputs(path))


LENIENT = {"client.stream_request", "client.stream_request_base", "client.get_final_response"}


def exception_inputs(path: str) -> dict[str, Any]:
    def cls(side: Side) -> Any:
        return by_path(side, path)

    return {
        "bases": lambda side: [each.__name__ for each in cls(side).__mro__],
        "no argument": lambda side: (str(cls(side)()), repr(cls(side)()), cls(side)().args),
        "text": lambda side: (str(cls(side)("a")), repr(cls(side)("a")), cls(side)("a").args),
        "two arguments": lambda side: (str(cls(side)("a", 1)), cls(side)("a", 1).args),
        "a keyword": lambda side: cls(side)(message="a"),
        "pickle": lambda side: pickle.loads(pickle.dumps(cls(side)("a"))).args,
        "copy": lambda side: copy.copy(cls(side)("a")).args,
        "an attribute": lambda side: setattr(cls(side)("a"), "own", 1),
        "where it is found": lambda side: hasattr(side.fp, path.rpartition(".")[2]),
    }

"""The flat public surface, and what importing it costs."""

from __future__ import annotations

import importlib
import inspect
import os
import pkgutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import poeproto

# The core and its dependencies import no event loop, socket, logger or source of randomness.
FOREIGN = {
    "anyio", "asyncio", "concurrent.futures", "h11", "httpx", "hypercorn", "logging", "multiprocessing", "random",
    "secrets", "selectors", "sniffio", "socket", "ssl", "subprocess", "tempfile", "trio", "urllib.request",
}  # fmt: skip
# Public modules beside the flat surface, in alphabetical order.
PUBLIC = [
    "auth", "conversation", "flows", "http", "identifiers", "lint", "markdown", "reactions", "schemas", "testing",
]  # fmt: skip
EVERYTHING = "from poeproto import *; import " + ", ".join(f"poeproto.{name}" for name in PUBLIC)
# attrs, cattrs and msgspec load these; the core itself has no clock and no thread either.
LEFT_TO_DEPENDENCIES = {"datetime", "threading", "time", "uuid"}


def public_names() -> list[tuple[str, str]]:
    modules = [poeproto, *(importlib.import_module(f"poeproto.{name}") for name in PUBLIC)]
    return [(module.__name__, name) for module in modules for name in module.__all__]


def test_every_name_of_all_can_be_imported_and_seen() -> None:
    assert set(poeproto.__all__) <= set(dir(poeproto))
    with pytest.raises(AttributeError, match="module 'poeproto' has no attribute 'Nothing'"):
        getattr(poeproto, "Nothing")  # noqa: B009


def test_the_flat_surface_has_the_names_of_every_day() -> None:
    assert len(poeproto.__all__) <= 100


def test_no_module_has_the_name_of_a_public_class_or_function() -> None:
    # Loading it would put the module in the other's place.
    assert not {found.name for found in pkgutil.iter_modules(poeproto.__path__)} & set(poeproto.__all__)


@pytest.mark.parametrize("public", ["", *PUBLIC])
def test_no_name_is_listed_twice(public: str) -> None:
    names = importlib.import_module(f"poeproto.{public}".rstrip(".")).__all__
    assert len(names) == len(set(names))


def core_modules() -> list[ModuleType]:
    found = pkgutil.walk_packages(poeproto.__path__, "poeproto.")
    return [importlib.import_module(module.name) for module in found]


def test_every_list_of_public_names_is_in_order() -> None:
    for module in core_modules():
        if not hasattr(module, "__path__") and module.__name__ not in ("poeproto._surface", "poeproto.http"):
            names: list[str] = getattr(module, "__all__", [])
            assert names == sorted(names, key=lambda name: (not name.isupper(), not name[0].isupper(), name))


def test_every_class_of_a_request_an_event_and_an_error_is_public() -> None:
    families = "errors", "events", "messages", "requests", "settings", "tools", "http"
    for name in "limits", *(f"vocabulary.{family}" for family in families):
        module = importlib.import_module(f"poeproto.{name}")
        own = {
            name
            for name, value in vars(module).items()
            if inspect.isclass(value) and value.__module__ == module.__name__ and not name.startswith("_")
        }
        assert own <= {name for _, name in public_names()}


@pytest.mark.parametrize(("module", "name"), public_names())
def test_every_public_class_and_function_is_its_modules_own_and_has_a_docstring(module: str, name: str) -> None:
    value = getattr(importlib.import_module(module), name)
    if inspect.isclass(value) or inspect.isfunction(value):
        assert getattr(sys.modules[value.__module__], name) is value
        assert value.__module__.startswith("poeproto.")
        # Not inspect.getdoc, which would take a base class's.
        assert (value.__doc__ or "").strip()


def test_every_module_has_a_docstring() -> None:
    for module in core_modules():
        assert module.__doc__


def modules_loaded(code: str) -> set[str]:
    """The modules that this code adds to those of a fresh interpreter."""
    script = f"import sys; start = set(sys.modules)\n{code}\nprint(*(set(sys.modules) - start))"
    paths = [str(Path(poeproto.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    done = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_poeproto_alone_loads_no_dependency() -> None:
    assert not modules_loaded("import poeproto") & {"attrs", "cattrs", "msgspec", "poeproto._surface"}


def test_importing_the_core_loads_no_io() -> None:
    loaded = modules_loaded(EVERYTHING)
    assert "poeproto.testing" in loaded
    assert not loaded & FOREIGN


def test_importing_the_core_adds_no_clock_or_thread_to_its_dependencies() -> None:
    dependencies = modules_loaded("import attrs, cattrs, cattrs.gen, msgspec")
    assert not (modules_loaded(EVERYTHING) - dependencies) & LEFT_TO_DEPENDENCIES

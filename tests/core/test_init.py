"""The flat public surface, and what importing it costs."""

from __future__ import annotations

import importlib
import inspect
import os
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import poeproto

# An event loop, a socket, a log or randomness has no place in the core, nor in what it depends on.
FOREIGN = {
    "anyio", "asyncio", "concurrent.futures", "h11", "httpx", "hypercorn", "logging", "multiprocessing", "random",
    "secrets", "selectors", "sniffio", "socket", "ssl", "subprocess", "tempfile", "trio", "urllib.request",
}  # fmt: skip
# attrs, cattrs and msgspec load these; the core itself has no clock and no thread either.
LEFT_TO_DEPENDENCIES = {"datetime", "threading", "time", "uuid"}


def family(name: str) -> tuple[int, str]:
    """Constants, then classes, then functions; in alphabetical order each, capitals first."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2), name


def test_every_name_of_all_can_be_imported_and_seen() -> None:
    for name in poeproto.__all__:
        getattr(poeproto, name)
    assert set(poeproto.__all__) <= set(dir(poeproto))
    with pytest.raises(AttributeError, match="module 'poeproto' has no attribute 'Nothing'"):
        getattr(poeproto, "Nothing")  # noqa: B009


def test_what_is_public_in_a_module_of_public_names_is_in_all() -> None:
    source = Path(poeproto.__file__).read_text()
    homes = set(re.findall(r"from poeproto\.(\w+) import", source))
    for module in (importlib.import_module(f"poeproto.{home}") for home in homes):
        for name in poeproto.__all__:
            if hasattr(module, name):
                assert getattr(module, name) is getattr(poeproto, name)


def test_no_module_has_the_name_of_something_public() -> None:
    # Loading it would put the module in the other's place.
    assert not {found.name for found in pkgutil.iter_modules(poeproto.__path__)} & set(poeproto.__all__)


def test_all_is_sorted_by_family_and_has_no_name_twice() -> None:
    assert poeproto.__all__ == sorted(set(poeproto.__all__), key=family)


def test_every_class_of_a_request_an_event_and_an_error_is_public() -> None:
    families = "events", "messages", "requests", "settings", "tools", "http"
    for name in "errors", "limits", *(f"vocabulary.{family}" for family in families):
        module = importlib.import_module(f"poeproto.{name}")
        own = {
            name
            for name, value in vars(module).items()
            if inspect.isclass(value) and value.__module__ == module.__name__ and not name.startswith("_")
        }
        assert own <= set(poeproto.__all__)


def test_every_public_name_is_the_one_of_its_module() -> None:
    for name in poeproto.__all__:
        value = getattr(poeproto, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert getattr(sys.modules[value.__module__], name) is value
            assert value.__module__.startswith("poeproto.")


@pytest.mark.parametrize("name", poeproto.__all__)
def test_every_public_class_and_function_has_a_docstring_of_its_own(name: str) -> None:
    value = getattr(poeproto, name)
    if inspect.isclass(value) or inspect.isfunction(value):
        # Not inspect.getdoc, which would take a base class's.
        assert (value.__doc__ or "").strip()


def test_every_module_has_a_docstring() -> None:
    for found in pkgutil.iter_modules(poeproto.__path__, "poeproto."):
        assert importlib.import_module(found.name).__doc__


def modules_loaded(code: str) -> set[str]:
    """What is in sys.modules after this code that was not there at the start of the interpreter."""
    script = f"import sys; start = set(sys.modules)\n{code}\nprint(*(set(sys.modules) - start))"
    paths = [str(Path(poeproto.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    done = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_the_core_loads_no_io() -> None:
    loaded = modules_loaded("from poeproto import *; import poeproto.testing")
    assert "poeproto.testing" in loaded
    assert not loaded & FOREIGN


def test_importing_the_core_adds_no_clock_or_thread_to_its_dependencies() -> None:
    dependencies = modules_loaded("import attrs, cattrs, cattrs.gen, msgspec")
    assert not (modules_loaded("from poeproto import *; import poeproto.testing") - dependencies) & LEFT_TO_DEPENDENCIES

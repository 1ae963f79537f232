"""The public names of each integration: those that its modules list, each once."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

from poeproto.name_hints import PLACES

PACKAGES = (
    *("poeproto_runtime", "poeproto_h11", "poeproto_httpx", "poeproto_asgi", "poeproto_record", "poeproto_simulator"),
    *("poeproto_playground", "poeproto_check", "poeproto_load", "poeproto_openai", "poeproto_pytest", "poeproto_otel"),
)


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_exports_what_it_lists_each_name_once(package: str) -> None:
    namespace: dict[str, Any] = {}
    exec(f"from {package} import *", namespace)
    listed = importlib.import_module(package).__all__
    assert sorted(namespace.keys() - {"__builtins__"}) == sorted(listed)


def test_a_name_means_the_same_thing_in_all_packages() -> None:
    # Two replies, for instance, have two names: of the simulator's user, and of a client.
    found: dict[str, Any] = {}
    for package in map(importlib.import_module, PACKAGES):
        for name in package.__all__:
            if name != "serve":  # one way to serve a bot, in each package that can
                assert found.setdefault(name, getattr(package, name)) is getattr(package, name), name


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_has_a_hint_in_the_core(package: str) -> None:
    names = set(importlib.import_module(package).__all__)
    assert names >= PLACES[package]
    elsewhere = {name for names in PLACES.values() for name in names}
    assert names <= elsewhere, f"add these names to {package} in poeproto/name_hints.py: {names - elsewhere}"


@pytest.mark.parametrize("package", PACKAGES)
def test_a_name_that_another_package_has(package: str) -> None:
    with pytest.raises(
        ImportError, match=rf"^cannot import name 'Text' from '{package}'; write: from poeproto import Text$"
    ):
        exec(f"from {package} import Text")
    with pytest.raises(ImportError, match=r"is here poeproto\.Bot, which"):
        exec(f"from {package} import PoeBot")
    with pytest.raises(ImportError, match="cannot import name 'Nothing'"):
        exec(f"from {package} import Nothing")

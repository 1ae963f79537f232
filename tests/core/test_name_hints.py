"""The hints for names that a package does not have."""

from __future__ import annotations

import importlib

import pytest

import poeproto
from poeproto.name_hints import OTHER_NAMES, PLACES, missing_name

CORE = [package for package in PLACES if package.startswith("poeproto.")]


@pytest.mark.parametrize("package", CORE)
def test_every_name_is_where_the_hint_says(package: str) -> None:
    assert set(importlib.import_module(package).__all__) >= PLACES[package]


@pytest.mark.parametrize("package", CORE)
def test_every_public_name_has_a_hint(package: str) -> None:
    elsewhere = {*poeproto.__all__, *(name for names in PLACES.values() for name in names)}
    missing = {name for name in importlib.import_module(package).__all__ if name not in elsewhere}
    assert not missing, f"add these names to {package} in poeproto/name_hints.py: {missing}"


@pytest.mark.parametrize("name", sorted(name for names in PLACES.values() for name in names))
def test_a_name_that_is_elsewhere(name: str) -> None:
    if name not in poeproto.__all__:
        with pytest.raises(
            ImportError, match=f"^cannot import name '{name}' from 'poeproto'; write: from .* import {name}$"
        ):
            getattr(poeproto, name)


@pytest.mark.parametrize("name", OTHER_NAMES)
def test_names_of_fastapi_poe(name: str) -> None:
    with pytest.raises(
        ImportError, match=rf"^cannot import name '{name}' from 'poeproto'; fastapi_poe's {name} is here "
    ):
        exec(f"from poeproto import {name}")


def test_names_that_do_not_exist() -> None:
    assert isinstance(missing_name("poeproto", "Nothing"), AttributeError)
    with pytest.raises(ImportError, match="cannot import name 'Nothing'"):
        exec("from poeproto import Nothing")


def test_a_name_of_the_core_in_another_package() -> None:
    assert str(missing_name("poeproto_asgi", "Text")).endswith("write: from poeproto import Text")
    assert str(missing_name("poeproto_asgi", "Client")).endswith("write: from poeproto_h11 import Client")

"""Each public name of fastapi_poe exists here, or an import of it names the replacement."""

from __future__ import annotations

import importlib

import poeproto
from poeproto.name_hints import OTHER_NAMES, PLACES


def test_every_name_of_fastapi_poe_exists_here_or_has_a_hint() -> None:
    known = {*poeproto.__all__, *OTHER_NAMES, *(name for names in PLACES.values() for name in names)}
    assert set(importlib.import_module("fastapi_poe").__all__) <= known
    for name in ("types", "client", "base"):
        module = importlib.import_module(f"fastapi_poe.{name}")
        own = {key for key, value in vars(module).items() if getattr(value, "__module__", None) == module.__name__}
        assert {key for key in own if not key.startswith("_")} <= known

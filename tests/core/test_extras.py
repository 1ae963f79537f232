from __future__ import annotations

import sys

import pytest

from poeproto.extras import missing_extra


def test_nothing_is_missing() -> None:
    assert missing_extra("some_package", "some", ["json", "attrs"]) is None


def test_a_missing_module_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "h11", None)
    error = missing_extra("some_package", "some", ["json", "h11"])
    assert isinstance(error, ModuleNotFoundError)
    assert error.name == "h11"
    assert str(error) == "some_package needs h11, which is not installed: pip install 'poeproto[some]'"

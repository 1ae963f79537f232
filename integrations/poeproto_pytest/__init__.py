"""A pytest plugin for bots: bots in memory, a simulated Poe, recordings, assertions on replies, a block of the network.

pytest loads `poeproto_pytest.plugin` in every test run where poeproto is installed. So nothing is imported here before
it is used; the extra `pytest` has the dependencies of the fixtures. `docs/testing.md` shows how to test a bot.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # a type checker finds the names by itself
    from poeproto_pytest._surface import *
    from poeproto_pytest._surface import __all__ as __all__
else:

    def __getattr__(name: str) -> object:
        if name.startswith("__") and name != "__all__":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        try:
            return getattr(import_module("poeproto_pytest._surface"), name)
        except AttributeError:
            from poeproto.name_hints import missing_name

            raise missing_name(__name__, name) from None

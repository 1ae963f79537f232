"""The blocking client and its reply have the surface of the asynchronous ones, without `async`."""

from __future__ import annotations

import inspect
from typing import Any

from poeproto_h11 import BlockingClient, BlockingReply, Client, Reply

NAMES = {"aclose": "close", "__aenter__": "__enter__", "__aexit__": "__exit__"}


def surface_of(cls: type) -> dict[str, str]:
    """The public names of a class with their signatures, spelled as in the blocking class."""
    named = [*(name for name in dir(cls) if not name.startswith("_")), "__init__"]
    surface: dict[str, str] = {}
    for name in named:
        member: Any = inspect.getattr_static(cls, name)
        shown = str(inspect.signature(getattr(member, "fget", member)))
        shown = shown.replace("'BlockingSource'", "'Source'")
        surface[NAMES.get(name, name)] = shown.replace(", backend: 'Backend | None' = None", "")
    return surface


def test_the_clients_have_the_same_public_methods_and_signatures() -> None:
    assert surface_of(BlockingClient) == surface_of(Client)
    assert isinstance(inspect.getattr_static(BlockingClient, "connections_opened"), property)


def test_the_replies_have_the_same_public_methods() -> None:
    surfaces = surface_of(BlockingReply), surface_of(Reply)
    for surface in surfaces:
        del surface["__init__"]
    assert surfaces[0] == surfaces[1]
    assert surfaces[0].keys() == {"text", "close"}

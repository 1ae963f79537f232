"""The mapping between the Poe protocol and OpenAI's API, as a table: `docs/openai.md` is generated from it.

One row is one fact that a user of either side may rely on, and names the test that shows it. Rows are added with the
code that they describe.
"""

from __future__ import annotations

from typing import Literal

import attrs

__all__ = ["MAPPING", "MappingRow"]

Side = Literal["chat request", "chat reply", "chat errors", "responses", "bot request", "bot reply", "bot errors"]
Support = Literal["yes", "partly", "refused", "ignored"]


@attrs.frozen
class MappingRow:
    """What one part of a protocol becomes in the other.

    Attributes:
        side: the section of the table. ``chat`` and ``responses`` are the gateway's, ``bot`` is that of `OpenAIBot`.
        what: the part, in the terms of the protocol that it comes from, as Markdown.
        support: whether it has an effect: ``refused`` means an error, ``ignored`` that the answer is the same without.
        becomes: what it becomes, as Markdown.
        test: the name of the test function or the vector that shows it.
    """

    side: Side
    what: str
    support: Support
    becomes: str
    test: str


MAPPING: tuple[MappingRow, ...] = ()

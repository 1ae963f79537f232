"""JSON as RFC 8259 has it: Python's parser also accepts NaN and Infinity."""

from __future__ import annotations

import json
from typing import Any, NoReturn


def loads_strictly(text: str | bytes) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: when it is not JSON.
        RecursionError: when it is nested too deeply.
    """
    return json.loads(text, parse_constant=_refuse_constant)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")

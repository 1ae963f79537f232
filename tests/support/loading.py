"""Examples as modules, for those that are more than a bot."""

from __future__ import annotations

import importlib.util
from types import ModuleType

from .stage import EXAMPLES


def load_example(name: str) -> ModuleType:
    """A new module from docs/examples/NAME.py."""
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module

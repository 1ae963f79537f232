"""Extras of integrations: the name of the extra to install when a package is missing.

The wheel has all packages, and an extra installs the further dependencies of some of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec

__all__ = ["missing_extra"]


def missing_extra(package: str, extra: str, modules: Iterable[str]) -> ModuleNotFoundError | None:
    """The error for a package whose extra is not installed; None if it is.

    Args:
        package: the name of the package that is imported.
        extra: the name of the extra.
        modules: the modules that the extra installs.
    """
    for module in modules:
        if find_spec(module) is None:
            install = f"pip install 'poeproto[{extra}]'"
            return ModuleNotFoundError(f"{package} needs {module}, which is not installed: {install}", name=module)
    return None

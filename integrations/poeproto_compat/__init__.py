"""fastapi_poe's programming interface on poeproto: `import poeproto_compat as fp`.

Names and modules are loaded when they are first used (PEP 562).
"""

# ruff: noqa: F405  # a type checker finds the names of __all__ in the modules below

from __future__ import annotations

import warnings
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from poeproto_compat import base as base
    from poeproto_compat import client as client
    from poeproto_compat import sync_utils as sync_utils
    from poeproto_compat import templates as templates
    from poeproto_compat import types as types
    from poeproto_compat.base import *
    from poeproto_compat.client import *
    from poeproto_compat.types import *

_MODULES = ("base", "client", "sync_utils", "templates", "types")
# The modules of the names below, the fastest to load first.
_MODULES_OF_NAMES = ("types", "base", "client")

__all__ = [
    "AspectRatio",
    "AspectRatioOption",
    "Attachment",
    "AttachmentUploadResponse",
    "BaseControl",
    "BotError",
    "BotErrorNoRetry",
    "ComparatorCondition",
    "ConditionallyRenderControls",
    "CostItem",
    "CostRequestError",
    "DataResponse",
    "Divider",
    "DropDown",
    "ErrorResponse",
    "FullControls",
    "InsufficientFundError",
    "LiteralValue",
    "MessageFeedback",
    "MessageReaction",
    "MetaResponse",
    "Number",
    "ParameterControls",
    "ParameterValue",
    "PartialResponse",
    "PoeBot",
    "ProtocolMessage",
    "QueryRequest",
    "ReportErrorRequest",
    "ReportFeedbackRequest",
    "ReportReactionRequest",
    "RequestContext",
    "Section",
    "Sender",
    "SettingsRequest",
    "SettingsResponse",
    "Slider",
    "Tab",
    "TextArea",
    "TextField",
    "ToggleSwitch",
    "ToolCallDefinition",
    "ToolDefinition",
    "ToolResultDefinition",
    "User",
    "ValueNamePair",
    "get_bot_response",
    "get_bot_response_sync",
    "get_final_response",
    "make_app",
    "run",
    "stream_request",
    "sync_bot_settings",
    "upload_file",
    "upload_file_sync",
]

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name in _MODULES:
            return import_module(f"{__name__}.{name}")
        if name in __all__:
            for module in (import_module(f"{__name__}.{each}") for each in _MODULES_OF_NAMES):
                if name in module.__all__:
                    return globals().setdefault(name, getattr(module, name))
        if name == "PoeHandler":
            warnings.warn("PoeHandler is deprecated: use PoeBot", DeprecationWarning, stacklevel=2)
            return import_module(f"{__name__}.base").PoeBot
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__, *_MODULES})

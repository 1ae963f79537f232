"""fastapi_poe's programming interface on poeproto: `import poeproto_compat as fp`.

Names and modules are loaded when they are first used (PEP 562).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from poeproto_compat import base as base
    from poeproto_compat import client as client
    from poeproto_compat import sync_utils as sync_utils
    from poeproto_compat import templates as templates
    from poeproto_compat import types as types
    from poeproto_compat.base import (
        CostRequestError as CostRequestError,
    )
    from poeproto_compat.base import (
        InsufficientFundError as InsufficientFundError,
    )
    from poeproto_compat.base import (
        PoeBot as PoeBot,
    )
    from poeproto_compat.base import (
        make_app as make_app,
    )
    from poeproto_compat.base import (
        run as run,
    )
    from poeproto_compat.client import (
        BotError as BotError,
    )
    from poeproto_compat.client import (
        BotErrorNoRetry as BotErrorNoRetry,
    )
    from poeproto_compat.client import (
        get_bot_response as get_bot_response,
    )
    from poeproto_compat.client import (
        get_bot_response_sync as get_bot_response_sync,
    )
    from poeproto_compat.client import (
        get_final_response as get_final_response,
    )
    from poeproto_compat.client import (
        stream_request as stream_request,
    )
    from poeproto_compat.client import (
        sync_bot_settings as sync_bot_settings,
    )
    from poeproto_compat.client import (
        upload_file as upload_file,
    )
    from poeproto_compat.client import (
        upload_file_sync as upload_file_sync,
    )
    from poeproto_compat.types import (
        AspectRatio as AspectRatio,
    )
    from poeproto_compat.types import (
        AspectRatioOption as AspectRatioOption,
    )
    from poeproto_compat.types import (
        Attachment as Attachment,
    )
    from poeproto_compat.types import (
        AttachmentUploadResponse as AttachmentUploadResponse,
    )
    from poeproto_compat.types import (
        BaseControl as BaseControl,
    )
    from poeproto_compat.types import (
        ComparatorCondition as ComparatorCondition,
    )
    from poeproto_compat.types import (
        ConditionallyRenderControls as ConditionallyRenderControls,
    )
    from poeproto_compat.types import (
        CostItem as CostItem,
    )
    from poeproto_compat.types import (
        DataResponse as DataResponse,
    )
    from poeproto_compat.types import (
        Divider as Divider,
    )
    from poeproto_compat.types import (
        DropDown as DropDown,
    )
    from poeproto_compat.types import (
        ErrorResponse as ErrorResponse,
    )
    from poeproto_compat.types import (
        FullControls as FullControls,
    )
    from poeproto_compat.types import (
        LiteralValue as LiteralValue,
    )
    from poeproto_compat.types import (
        MessageFeedback as MessageFeedback,
    )
    from poeproto_compat.types import (
        MessageReaction as MessageReaction,
    )
    from poeproto_compat.types import (
        MetaResponse as MetaResponse,
    )
    from poeproto_compat.types import (
        Number as Number,
    )
    from poeproto_compat.types import (
        ParameterControls as ParameterControls,
    )
    from poeproto_compat.types import (
        ParameterValue as ParameterValue,
    )
    from poeproto_compat.types import (
        PartialResponse as PartialResponse,
    )
    from poeproto_compat.types import (
        ProtocolMessage as ProtocolMessage,
    )
    from poeproto_compat.types import (
        QueryRequest as QueryRequest,
    )
    from poeproto_compat.types import (
        ReportErrorRequest as ReportErrorRequest,
    )
    from poeproto_compat.types import (
        ReportFeedbackRequest as ReportFeedbackRequest,
    )
    from poeproto_compat.types import (
        ReportReactionRequest as ReportReactionRequest,
    )
    from poeproto_compat.types import (
        RequestContext as RequestContext,
    )
    from poeproto_compat.types import (
        Section as Section,
    )
    from poeproto_compat.types import (
        Sender as Sender,
    )
    from poeproto_compat.types import (
        SettingsRequest as SettingsRequest,
    )
    from poeproto_compat.types import (
        SettingsResponse as SettingsResponse,
    )
    from poeproto_compat.types import (
        Slider as Slider,
    )
    from poeproto_compat.types import (
        Tab as Tab,
    )
    from poeproto_compat.types import (
        TextArea as TextArea,
    )
    from poeproto_compat.types import (
        TextField as TextField,
    )
    from poeproto_compat.types import (
        ToggleSwitch as ToggleSwitch,
    )
    from poeproto_compat.types import (
        ToolCallDefinition as ToolCallDefinition,
    )
    from poeproto_compat.types import (
        ToolDefinition as ToolDefinition,
    )
    from poeproto_compat.types import (
        ToolResultDefinition as ToolResultDefinition,
    )
    from poeproto_compat.types import (
        User as User,
    )
    from poeproto_compat.types import (
        ValueNamePair as ValueNamePair,
    )

_MODULES = ("base", "client", "sync_utils", "templates", "types")
_BASE = frozenset({"CostRequestError", "InsufficientFundError", "PoeBot", "make_app", "run"})
_CLIENT = frozenset(
    {
        "BotError",
        "BotErrorNoRetry",
        "get_bot_response",
        "get_bot_response_sync",
        "get_final_response",
        "stream_request",
        "sync_bot_settings",
        "upload_file",
        "upload_file_sync",
    }
)

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
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        module = "base" if name in _BASE else "client" if name in _CLIENT else "types"
        return globals().setdefault(name, getattr(import_module(f"{__name__}.{module}"), name))

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__, *_MODULES})

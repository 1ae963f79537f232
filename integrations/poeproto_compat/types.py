"""fastapi_poe's types: requests, responses, settings and controls, under its names and with its fields and defaults.

Their meaning is the protocol's: see the classes of `poeproto` that each becomes on the wire. Fields that fastapi_poe
has for its own use are explained where they stand.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, Self, TypeAlias, TypeVar, get_args

from poeproto_compat.model import Model, field, get_fields, get_given, set_fields, set_given
from poeproto_compat.validation import Invalid

__all__ = [
    "AspectRatio",
    "AspectRatioOption",
    "Attachment",
    "AttachmentHttpResponse",
    "AttachmentUploadResponse",
    "BaseControl",
    "BaseRequest",
    "ComparatorCondition",
    "ConditionallyRenderControls",
    "ContentType",
    "CostItem",
    "CustomCallDefinition",
    "CustomToolDefinition",
    "DataResponse",
    "Divider",
    "DropDown",
    "ErrorResponse",
    "ErrorType",
    "FeedbackType",
    "FullControls",
    "FunctionCallDefinition",
    "FunctionCallDefinitionDelta",
    "FunctionDefinition",
    "Identifier",
    "LiteralValue",
    "MessageFeedback",
    "MessageReaction",
    "MessageType",
    "MetaResponse",
    "Number",
    "ParameterControls",
    "ParameterValue",
    "ParametersDefinition",
    "PartialResponse",
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
    "ToolCallDefinitionDelta",
    "ToolDefinition",
    "ToolResultDefinition",
    "User",
    "ValueNamePair",
]

Identifier: TypeAlias = str
FeedbackType: TypeAlias = Literal["like", "dislike"]
ContentType: TypeAlias = Literal["text/markdown", "text/plain"]
MessageType: TypeAlias = Literal["function_call"]
ErrorType: TypeAlias = Literal[
    "user_message_too_long", "insufficient_fund", "user_caused_error", "privacy_authorization_error"
]
Number: TypeAlias = int | float
"""A number of a parameter control."""

_FORBID: dict[str, Any] = {"extra": "forbid"}
NO_KEY = "<missing>"


def _milli_cents(amount: Any) -> int:
    """Rounded up to a whole number, from a number only."""
    if isinstance(amount, float) and math.isfinite(amount):
        return math.ceil(amount)
    if not isinstance(amount, int):
        raise Invalid.because(
            "value_error",
            "Expected a whole number of thousandths of a US cent; round a fraction up with math.ceil",
            amount,
        )
    return amount


# --- messages


class MessageFeedback(Model):
    """A user's verdict on a message.

    Attributes:
        type: the verdict.
        reason: the user's own words, or None.
    """

    type: FeedbackType
    reason: str | None


class CostItem(Model):
    """A cost to authorise or to capture, in thousandths of a US cent. A float is rounded up.

    Attributes:
        amount_usd_milli_cents: the amount, in thousandths of a US cent: 100,000 is one dollar.
        description: the purpose, as the user reads it.
    """

    amount_usd_milli_cents: int
    description: str | None = None

    model_field_preparations: ClassVar = {"amount_usd_milli_cents": _milli_cents}


class Attachment(Model):
    """A file of a message; see `poeproto.Attachment`.

    Attributes:
        url: where the file is. Poe's URLs are valid for ten minutes.
        content_type: its media type, as in ``image/png``.
        name: its file name.
        inline_ref: the label by which the text shows it, as ``![name][label]``; None for a file beside the text.
        parsed_content: its text, or a description of an image, if the bot's settings ask Poe for it.
    """

    url: str
    content_type: str
    name: str
    inline_ref: str | None = None
    parsed_content: str | None = None


class MessageReaction(Model):
    """A user's reaction to a message.

    Attributes:
        user_id: who reacted.
        reaction: its name, as ``heart``, or an emoji.
    """

    user_id: Identifier
    reaction: str


class Sender(Model):
    """Who wrote a message.

    Attributes:
        id: the user's or bot's identifier.
        name: the display name.
    """

    id: Identifier | None = None
    name: str | None = None


class User(Model):
    """A user of a chat.

    Attributes:
        id: the user's identifier; each bot gets another one.
        name: the display name.
    """

    id: Identifier
    name: str | None = None


class ProtocolMessage(Model):
    """A message of a conversation; see `poeproto.Message`.

    Attributes:
        role: who speaks.
        message_type: ``function_call``, or None for a message in words.
        sender_id: deprecated: see `sender`.
        sender: the user or the bot that wrote it.
        content: the text.
        parameters: the values of the parameter controls, by their `parameter_name`.
        content_type: how the text is read.
        timestamp: when it was sent, in microseconds since 1970; 0 if unknown.
        message_id: its identifier; empty if unknown.
        feedback: what users said about it.
        attachments: its files.
        metadata: what the bot stored with it: the last `DataResponse` of its reply.
        referenced_message: the message that it replies to.
        reactions: users' reactions to it.
    """

    role: Literal["system", "user", "bot", "tool"]
    message_type: MessageType | None = None
    sender_id: str | None = None
    sender: Sender | None = None
    content: str
    parameters: dict[str, Any] = field(default_factory=dict)
    content_type: ContentType = "text/markdown"
    timestamp: int = 0
    message_id: str = ""
    feedback: list[MessageFeedback] = field(default_factory=list)
    attachments: list[Attachment] = field(default_factory=list)
    metadata: str | None = None
    referenced_message: ProtocolMessage | None = None
    reactions: list[MessageReaction] = field(default_factory=list)


class RequestContext(Model):
    """The context of a request: the second argument of a bot's `..._with_context` methods.

    Attributes:
        http_request: the HTTP request, with Starlette's `headers`, `method`, `url` and `query_params`.
    """

    http_request: Any


# --- tools

InnerClass = TypeVar("InnerClass")


class _OldInnerClass(Generic[InnerClass]):
    """A class under its name in old versions of fastapi_poe, where it stood within another. Reading the name warns."""

    def __init__(self, new: type[InnerClass]) -> None:
        self._new = new

    def __set_name__(self, owner: type, name: str) -> None:
        self._old_name = f"{owner.__name__}.{name}"

    def __get__(self, instance: object, owner: type | None = None) -> type[InnerClass]:
        warnings.warn(f"{self._old_name} is deprecated: use {self._new.__name__}", DeprecationWarning, stacklevel=2)
        return self._new


class ParametersDefinition(Model):
    """The JSON Schema of a function's arguments.

    Attributes:
        type: ``object``.
        properties: the JSON Schema of each argument, by its name.
        required: the names of the arguments that a call must have.
    """

    type: str
    properties: dict[str, object]
    required: list[str] | None = None


class FunctionDefinition(Model):
    """A function that a model may call.

    Attributes:
        name: the name by which the model calls it.
        description: its purpose, for the model.
        parameters: the JSON Schema of its arguments.
    """

    name: str
    description: str
    parameters: ParametersDefinition

    ParametersDefinition = _OldInnerClass(ParametersDefinition)


class ToolDefinition(Model):
    """A tool offered to a model.

    Attributes:
        type: ``function``.
        function: the function.
    """

    type: str
    function: FunctionDefinition

    FunctionDefinition = _OldInnerClass(FunctionDefinition)


class CustomToolDefinition(Model):
    """A custom tool offered to a model, whose input is text.

    Attributes:
        name: the name by which the model calls it.
        description: its purpose, for the model.
        format_: the format of its input; ``format`` on the wire.
    """

    name: str
    description: str | None = None
    format_: dict[str, Any] | None = field(default=None, alias="format")


class FunctionCallDefinition(Model):
    """A call of a function: its name, and its arguments as JSON.

    Attributes:
        name: the function's name.
        arguments: its arguments, as the text of a JSON object.
    """

    name: str
    arguments: str


class ToolCallDefinition(Model):
    """A call of a tool, made by a model.

    Attributes:
        id: the call's identifier, which its result repeats.
        type: ``function``.
        function: which function is called, and with what.
    """

    id: str
    type: str
    function: FunctionCallDefinition

    FunctionDefinition = _OldInnerClass(FunctionCallDefinition)


class CustomCallDefinition(Model):
    """A call of a custom tool.

    Attributes:
        name: the tool's name.
        input_: the text for the tool; ``input`` on the wire.
    """

    name: str
    input_: str = field(alias="input")


class ToolResultDefinition(Model):
    """The result of a tool call.

    Attributes:
        role: ``tool``.
        name: the function's name.
        tool_call_id: the `id` of the call.
        content: the result, as text for the model.
    """

    role: str
    name: str
    tool_call_id: str
    content: str


class FunctionCallDefinitionDelta(Model):
    """A piece of a call of a function.

    Attributes:
        name: the function's name, in the first piece of a call.
        arguments: the next part of its arguments.
    """

    name: str | None = None
    arguments: str


class ToolCallDefinitionDelta(Model):
    """A piece of a call of a tool. `index` says which call it belongs to.

    Attributes:
        index: which call the piece belongs to, from 0.
        id: the call's identifier, in its first piece.
        type: ``function``, in the first piece.
        function: the piece itself.
    """

    index: int = 0
    id: str | None = None
    type: str | None = None
    function: FunctionCallDefinitionDelta

    FunctionDefinitionDelta = _OldInnerClass(FunctionCallDefinitionDelta)


# --- requests


class BaseRequest(Model):
    """The base of all requests.

    Attributes:
        version: the version of the protocol, as in ``1.2``.
        type: the kind of request.
    """

    version: str
    type: Literal["query", "settings", "report_feedback", "report_reaction", "report_error"]


class QueryRequest(BaseRequest):
    """A query; see `poeproto.QueryRequest`.

    Attributes:
        version: the version of the protocol, as in ``1.2``.
        type: ``query``.
        query: the messages of the conversation, oldest first.
        user_id: who asks.
        conversation_id: the conversation.
        message_id: the message that the reply becomes.
        metadata: an identifier to send along with calls to other bots.
        temperature: how freely a model chooses its words; None for its own default.
        skip_system_prompt: whether the user wants the model without the bot's prompt.
        logit_bias: what to add to the log-probability of a token, from -100 to 100, by the token.
        stop_sequences: texts before which a model stops.
        language_code: the user's language (BCP 47).
        adopt_current_bot_name: whether a called bot replies under the caller's name.
        bot_query_id: the key for charging this query.
        users: the users of the conversation.
        tools: the tools that the model may call.
        tool_calls: the calls that the model made.
        tool_results: the results of these calls.
        query_creation_time: when the user sent the query, in microseconds since 1970; None if unknown.
        extra_params: further parameters of the bot that is called.
        access_key: the bot's own key, filled in by the server, so that calls made for this query can use it.
        api_key: the same, as it was named before.
    """

    query: list[ProtocolMessage]
    user_id: Identifier
    conversation_id: Identifier
    message_id: Identifier
    metadata: Identifier = ""
    api_key: str = NO_KEY
    access_key: str = NO_KEY
    temperature: float | None = None
    skip_system_prompt: bool = False
    logit_bias: dict[str, float] = field(default_factory=dict)
    stop_sequences: list[str] = field(default_factory=list)
    language_code: str = "en"
    adopt_current_bot_name: bool | None = None
    bot_query_id: Identifier = ""
    users: list[User] = field(default_factory=list)
    tools: list[ToolDefinition] | None = None
    tool_calls: list[ToolCallDefinition] | None = None
    tool_results: list[ToolResultDefinition] | None = None
    query_creation_time: int | None = None
    extra_params: dict[str, Any] | None = None

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """A request from a dict.

        Raises:
            ValueError: if it does not fit.
        """
        return cls.model_validate(data)


class SettingsRequest(BaseRequest):
    """A request for the bot's settings.

    Attributes:
        version: the version of the protocol, as in ``1.2``.
        type: ``settings``.
    """


class ReportFeedbackRequest(BaseRequest):
    """A user's feedback on a message of the bot.

    Attributes:
        version: the version of the protocol, as in ``1.2``.
        type: ``report_feedback``.
        message_id: the bot's message.
        user_id: who reports it.
        conversation_id: the conversation of the message.
        feedback_type: the verdict.
    """

    message_id: Identifier
    user_id: Identifier
    conversation_id: Identifier
    feedback_type: FeedbackType


class ReportReactionRequest(BaseRequest):
    """A user's reaction to a message of the bot.

    Attributes:
        version: the version of the protocol, as in ``1.2``.
        type: ``report_reaction``.
        message_id: the bot's message.
        user_id: who reports it.
        conversation_id: the conversation of the message.
        reaction: its name, as ``heart``, or an emoji.
    """

    message_id: Identifier
    user_id: Identifier
    conversation_id: Identifier
    reaction: str


class ReportErrorRequest(BaseRequest):
    """An error that Poe has met with the bot.

    Attributes:
        version: the version of the protocol, as in ``1.2``.
        type: ``report_error``.
        message: the problem.
        metadata: Poe's details of it.
    """

    message: str
    metadata: dict[str, Any]


# --- controls


class Divider(Model):
    """A line between controls.

    Attributes:
        control: ``divider``.
    """

    model_config = _FORBID

    control: Literal["divider"] = "divider"


class TextField(Model):
    """A line of text.

    Attributes:
        control: ``text_field``.
        label: the text beside it.
        description: a longer explanation, or None.
        parameter_name: the key in `ProtocolMessage.parameters`: letters, digits and underscores, not starting with
            ``poe_``.
        default_value: the initial text.
        placeholder: the text shown while it is empty.
    """

    model_config = _FORBID

    control: Literal["text_field"] = "text_field"
    label: str
    description: str | None = None
    parameter_name: str
    default_value: str | None = None
    placeholder: str | None = None


class TextArea(Model):
    """Lines of text.

    Attributes:
        control: ``text_area``.
        label: the text beside it.
        description: a longer explanation, or None.
        parameter_name: the key in `ProtocolMessage.parameters`: letters, digits and underscores, not starting with
            ``poe_``.
        default_value: the initial text.
        placeholder: the text shown while it is empty.
    """

    model_config = _FORBID

    control: Literal["text_area"] = "text_area"
    label: str
    description: str | None = None
    parameter_name: str
    default_value: str | None = None
    placeholder: str | None = None


class ValueNamePair(Model):
    """An option of a drop-down.

    Attributes:
        value: the value of the parameter.
        name: the text that the user reads.
    """

    model_config = _FORBID

    value: str
    name: str


class DropDown(Model):
    """A choice of one option.

    Attributes:
        control: ``drop_down``.
        label: the text beside it.
        description: a longer explanation, or None.
        parameter_name: the key in `ProtocolMessage.parameters`: letters, digits and underscores, not starting with
            ``poe_``.
        default_value: the `value` of the initial option.
        options: the options, in their order.
    """

    model_config = _FORBID

    control: Literal["drop_down"] = "drop_down"
    label: str
    description: str | None = None
    parameter_name: str
    default_value: str | None = None
    options: list[ValueNamePair]


class ToggleSwitch(Model):
    """On or off.

    Attributes:
        control: ``toggle_switch``.
        label: the text beside it.
        description: a longer explanation, or None.
        parameter_name: the key in `ProtocolMessage.parameters`: letters, digits and underscores, not starting with
            ``poe_``.
        default_value: whether it is on at first.
    """

    model_config = _FORBID

    control: Literal["toggle_switch"] = "toggle_switch"
    label: str
    description: str | None = None
    parameter_name: str
    default_value: bool | None = None


class Slider(Model):
    """A number between two others.

    Attributes:
        control: ``slider``.
        label: the text beside it.
        description: a longer explanation, or None.
        parameter_name: the key in `ProtocolMessage.parameters`: letters, digits and underscores, not starting with
            ``poe_``.
        default_value: the initial number, from `min_value` to `max_value`.
        min_value: the least number.
        max_value: the greatest number.
        step: the distance between two numbers that can be chosen.
    """

    model_config = _FORBID

    control: Literal["slider"] = "slider"
    label: str
    description: str | None = None
    parameter_name: str
    default_value: Number | None = None
    min_value: Number
    max_value: Number
    step: Number


class AspectRatioOption(Model):
    """An aspect ratio to choose.

    Attributes:
        value: the value of the parameter; by default width and height with a colon, as ``16:9``.
        width: the width, in relation to the height.
        height: the height, in relation to the width.
    """

    model_config = _FORBID

    value: str | None = None
    width: Number
    height: Number


class AspectRatio(Model):
    """A choice of an aspect ratio.

    Attributes:
        control: ``aspect_ratio``.
        label: the text beside it.
        description: a longer explanation, or None.
        parameter_name: the key in `ProtocolMessage.parameters`: letters, digits and underscores, not starting with
            ``poe_``.
        default_value: the value of the initial option.
        options: the options, in their order.
    """

    model_config = _FORBID

    control: Literal["aspect_ratio"] = "aspect_ratio"
    label: str
    description: str | None = None
    parameter_name: str
    default_value: str | None = None
    options: list[AspectRatioOption]


BaseControl: TypeAlias = Divider | TextField | TextArea | DropDown | ToggleSwitch | Slider | AspectRatio
"""Any parameter control without a condition."""


class LiteralValue(Model):
    """A constant in a condition.

    Attributes:
        literal: the constant.
    """

    model_config = _FORBID

    literal: str | float | int | bool


class ParameterValue(Model):
    """The value of a parameter in a condition.

    Attributes:
        parameter_name: the name of the parameter.
    """

    model_config = _FORBID

    parameter_name: str


class ComparatorCondition(Model):
    """A comparison of two values.

    Attributes:
        comparator: how the two are compared: equal, not equal, greater, at least, less, at most.
        left: the first operand.
        right: the second operand.
    """

    model_config = _FORBID

    comparator: Literal["eq", "ne", "gt", "ge", "lt", "le"]
    left: LiteralValue | ParameterValue
    right: LiteralValue | ParameterValue


class ConditionallyRenderControls(Model):
    """Controls that are shown if a condition holds.

    Attributes:
        control: ``condition``.
        condition: when they are shown.
        controls: the controls.
    """

    model_config = _FORBID

    control: Literal["condition"] = "condition"
    condition: ComparatorCondition
    controls: list[BaseControl]


FullControls: TypeAlias = (
    Divider | TextField | TextArea | DropDown | ToggleSwitch | Slider | AspectRatio | ConditionallyRenderControls
)
"""Any parameter control, and controls with a condition."""


class Tab(Model):
    """A tab of a section.

    Attributes:
        name: its title.
        controls: its controls; not empty.
    """

    model_config = _FORBID

    name: str | None = None
    controls: list[FullControls]


class Section(Model):
    """A section: its controls or its tabs.

    Attributes:
        name: its title.
        controls: its controls; None if it has tabs.
        tabs: its tabs; None if it has controls.
        collapsed_by_default: whether its controls are hidden until the user opens it.
    """

    model_config = _FORBID

    name: str | None = None
    controls: list[FullControls] | None = None
    tabs: list[Tab] | None = None
    collapsed_by_default: bool | None = None


class ParameterControls(Model):
    """The parameters that a user may set; see `poeproto.ParameterControls`.

    Attributes:
        api_version: ``2``.
        sections: the sections, in their order.
    """

    model_config = _FORBID

    api_version: Literal["2"] = "2"
    sections: list[Section]


# --- responses


class SettingsResponse(Model):
    """A bot's settings; see `poeproto.SettingsResponse`.

    Attributes:
        response_version: the version of the format; Poe ignores `parameter_controls` below 2.
        context_clear_window_secs: deprecated: seconds after which a new conversation begins.
        allow_user_context_clear: deprecated: whether users may clear the context of a conversation.
        custom_rate_card: deprecated: see `rate_card`.
        server_bot_dependencies: how often the bot calls each other bot for one message, by the bot's name.
        allow_attachments: whether users may send files.
        introduction_message: the bot's message at the start of a conversation.
        expand_text_attachments: whether Poe fills `Attachment.parsed_content` of texts and PDFs.
        enable_image_comprehension: whether Poe describes images in `Attachment.parsed_content`.
        enforce_author_role_alternation: whether Poe joins messages of one role that follow each other.
        enable_multi_bot_chat_prompting: deprecated: see `enable_multi_entity_prompting`.
        enable_multi_entity_prompting: whether Poe explains a conversation with several bots and users to the bot.
        rate_card: the prices of the bot, in Markdown.
        cost_label: the price in a few words.
        parameter_controls: the parameters that users may set.
    """

    model_config = _FORBID

    response_version: int | None = 2
    context_clear_window_secs: int | None = None
    allow_user_context_clear: bool | None = None
    custom_rate_card: str | None = None
    server_bot_dependencies: dict[str, int] = field(default_factory=dict)
    allow_attachments: bool | None = None
    introduction_message: str | None = None
    expand_text_attachments: bool | None = None
    enable_image_comprehension: bool | None = None
    enforce_author_role_alternation: bool | None = None
    enable_multi_bot_chat_prompting: bool | None = None
    enable_multi_entity_prompting: bool | None = None
    rate_card: str | None = None
    cost_label: str | None = None
    parameter_controls: ParameterControls | None = None

    if not TYPE_CHECKING:  # a type checker makes the constructor of the fields

        def __init__(self, /, **values: Any) -> None:
            if values.pop("insert_attachments_to_message", None) is not None:
                warnings.warn(
                    "the setting insert_attachments_to_message is deprecated, and has no effect: use"
                    " PoeBot.should_insert_attachment_messages",
                    DeprecationWarning,
                    stacklevel=2,
                )
            super().__init__(**values)


class AttachmentUploadResponse(Model):
    """Where a file that was posted is, and how the message's text refers to it.

    Attributes:
        attachment_url: the URL of the file at Poe.
        mime_type: its media type.
        name: its file name.
        inline_ref: the label by which the text shows it, as ``![name][label]``; None for a file beside the text.
    """

    attachment_url: str | None
    mime_type: str | None
    name: str | None = None
    inline_ref: str | None

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """From the data of a `file` event."""
        return cls(
            attachment_url=data.get("url"),
            mime_type=data.get("content_type"),
            name=data.get("name"),
            inline_ref=data.get("inline_ref"),
        )


class AttachmentHttpResponse(Model):
    """Poe's response to an upload.

    Attributes:
        attachment_url: the URL of the file at Poe.
        mime_type: its media type.
    """

    attachment_url: str | None
    mime_type: str | None


class PartialResponse(Model):
    """A piece of a reply, yielded by a bot or received from one.

    Attributes:
        text: the text.
        data: the value of a `json` event.
        raw_response: the event as received, for debugging.
        full_prompt: the request that it answers, for debugging.
        request_id: unused.
        is_suggested_reply: the text is a reply that the user may choose.
        is_replace_response: the text replaces all before.
        attachment: a file.
        tool_calls: pieces of calls of tools.
        index: which of several answers it belongs to.
    """

    model_config = _FORBID

    text: str
    data: dict[str, Any] | None = None
    raw_response: object = None
    full_prompt: str | None = None
    request_id: str | None = None
    is_suggested_reply: bool = False
    is_replace_response: bool = False
    attachment: Attachment | None = None
    tool_calls: list[ToolCallDefinitionDelta] = field(default_factory=list)
    index: int | None = None

    if not TYPE_CHECKING:  # a type checker makes the constructor of the fields
        # Fast path: a reply has thousands of responses, nearly all have a text alone, and few programs read more of
        # them. Such a response is made with its text, and its other fields when one of them is read. Until then its
        # `_given` is unset. `_reply` makes those of a received text.
        __slots__ = ("_reply",)

        def __init__(self, /, **values: Any) -> None:
            if len(values) == 1 and type(self) is PartialResponse and type(values.get("text")) is str:
                set_fields(self, values)
            else:
                super().__init__(**values)

        @property
        def __dict__(self) -> dict[str, Any]:
            fields = get_fields(self)
            if len(fields) == 1 and "text" in fields and not _is_complete(self):
                self._complete(fields)
            return fields

        def _complete(self, fields: dict[str, Any]) -> None:
            text = fields["text"]
            try:
                reply = _get_reply(self)
            except AttributeError:
                fields.update(_TEXT_ALONE, text=text, tool_calls=[])
                set_given(self, {"text"})
            else:
                reply.complete(self, fields)

        @property
        def _given(self) -> set[str]:
            """The names of the fields that were set."""
            self.__dict__  # noqa: B018  # completes the response
            return get_given(self)

        @_given.setter
        def _given(self, names: set[str]) -> None:
            set_given(self, names)

        def __getattr__(self, name: str) -> Any:
            if len(get_fields(self)) == 1 and name in self.__dict__:
                return self.__dict__[name]
            return super().__getattr__(name)

        def __delattr__(self, name: str) -> None:
            self.__dict__  # noqa: B018  # completes the response
            super().__delattr__(name)

        def __reduce_ex__(self, protocol: int) -> Any:
            self.__dict__  # noqa: B018  # completes the response
            return super().__reduce_ex__(protocol)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """From the data of a `text` event."""
        return cls(text=str(data.get("text", "")))


if TYPE_CHECKING:

    class DataResponse(PartialResponse):
        """Metadata that Poe keeps with the bot's message. The last of a reply counts.

        Type checkers read it as a `PartialResponse`: the guides yield it from generators annotated with that alone.

        Attributes:
            metadata: a text of the bot's own.
        """

        metadata: str

        def __init__(self, *, metadata: str) -> None: ...

else:

    class DataResponse(Model):
        """Metadata that Poe keeps with the bot's message. The last of a reply counts.

        Attributes:
            metadata: a text of the bot's own.
        """

        model_config = _FORBID

        metadata: str


# The fields of a response that has a text alone.
_TEXT_ALONE = vars(PartialResponse(text="", index=None))
# Programs read these of each response. So they are attributes of the class too, which need not be completed first.
for _name in ("is_suggested_reply", "is_replace_response", "attachment", "data", "index"):
    setattr(PartialResponse, _name, _TEXT_ALONE[_name])
_get_reply: Callable[[PartialResponse], Any] = PartialResponse.__dict__["_reply"].__get__
set_reply: Callable[[PartialResponse, Any], None] = PartialResponse.__dict__["_reply"].__set__


def _is_complete(response: PartialResponse) -> bool:
    try:
        get_given(response)
    except AttributeError:
        return False
    return True


class ErrorResponse(PartialResponse):
    """An error, which ends the reply.

    Attributes:
        allow_retry: whether the caller may send the query again.
        error_type: the kind of error, if it is one that Poe knows.
    """

    allow_retry: bool = True
    error_type: ErrorType | None = None

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """From the data of an `error` event; an unknown type is dropped."""
        kind = data.get("error_type")
        return cls(
            text=str(data.get("text", "")),
            allow_retry=bool(data.get("allow_retry", True)),
            error_type=kind if kind in get_args(ErrorType) else None,
        )


class MetaResponse(PartialResponse):
    """How the reply is to be shown; a bot's first event, if it sends one.

    Public programs construct it without a text, as old versions allowed.

    Attributes:
        text: unused.
        linkify: deprecated: whether Poe turns words into links.
        suggested_replies: whether Poe suggests replies of its own.
        content_type: how the text is read.
        refetch_settings: whether Poe shall fetch the bot's settings again.
    """

    text: str = ""
    linkify: bool = True
    suggested_replies: bool = True
    content_type: ContentType = "text/markdown"
    refetch_settings: bool = False


if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name == "CustomToolCallDefinition":
            warnings.warn(f"{name} is deprecated: use CustomCallDefinition", DeprecationWarning, stacklevel=2)
            return CustomCallDefinition
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

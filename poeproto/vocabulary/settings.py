"""The settings of a bot: the response to a settings request.

https://creator.poe.com/docs/server-bots/poe-protocol-specification
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from poeproto.vocabulary.controls import ParameterControls, Validated
from poeproto.vocabulary.field_types import NO_EXTRA, suggesting_fields

__all__ = ["SettingsResponse"]


@suggesting_fields
@attrs.frozen(kw_only=True)
class SettingsResponse(Validated):
    """The settings of a bot. A field that is None is not sent, so that Poe's default applies.

    Attributes:
        response_version: 2; read as 0 if missing. Poe ignores `parameter_controls` below 2.
        server_bot_dependencies: bot name to the number of calls that this bot makes to it for one message.
        allow_attachments: whether users may attach files.
        expand_text_attachments: whether Poe fills `Attachment.parsed_content` of text files.
        enable_image_comprehension: whether Poe describes images there.
        introduction_message: the bot's message at the start of a conversation.
        enforce_author_role_alternation: whether Poe joins consecutive messages of one role.
        enable_multi_entity_prompting: whether Poe explains a conversation with several bots and users to the bot.
        rate_card: the prices of the bot, in Markdown.
        cost_label: the price in a few words.
        parameter_controls: the user interface for `Message.parameters`.
        context_clear_window_secs: deprecated.
        allow_user_context_clear: deprecated.
        custom_rate_card: deprecated.
        extra: unknown keys; Poe refuses them, so a response that has any cannot be written.

    Raises:
        TypeError: for a field of another type.
        InvalidValue: for a negative number of calls.
    """

    response_version: int = 2
    server_bot_dependencies: dict[str, int] = attrs.field(factory=dict[str, int], metadata={"omit_if_default": True})
    allow_attachments: bool | None = None
    expand_text_attachments: bool | None = None
    enable_image_comprehension: bool | None = None
    introduction_message: str | None = None
    enforce_author_role_alternation: bool | None = None
    enable_multi_entity_prompting: bool | None = None
    rate_card: str | None = None
    cost_label: str | None = None
    parameter_controls: ParameterControls | None = None
    context_clear_window_secs: int | None = None
    allow_user_context_clear: bool | None = None
    custom_rate_card: str | None = None
    extra: Mapping[str, Any] = attrs.field(default=NO_EXTRA, hash=False)

    def violations(self) -> Iterator[tuple[str, str]]:
        for bot_name, calls in self.server_bot_dependencies.items():
            if calls < 0:
                yield f"server_bot_dependencies.{bot_name}", f"{calls} is negative"

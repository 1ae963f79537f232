"""The mapping between the Poe protocol and OpenAI's API, as a table: `docs/openai.md` is generated from it.

One row is one fact that a user of either side may rely on, and names the test that shows it. Rows are added with the
code that they describe.
"""

from __future__ import annotations

from typing import Literal

import attrs

__all__ = ["MAPPING", "MappingRow"]

# The sections of the page, in its order.
SIDES = {
    "chat request": "Chat completions: the request",
    "chat reply": "Chat completions: the reply",
    "chat errors": "Chat completions: errors",
    "responses": "Responses",
    "bot request": "`OpenAIBot`: the request",
    "bot reply": "`OpenAIBot`: the reply",
    "bot errors": "`OpenAIBot`: errors",
}
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


_CHAT: tuple[MappingRow, ...] = (
    MappingRow(
        "chat request",
        "`messages`: `system`, `developer`, `user`, `assistant`",
        "yes",
        "messages of the roles `system`, `system`, `user`, `bot`",
        "test_roles",
    ),
    MappingRow(
        "chat request",
        "`name` of a message",
        "yes",
        "`sender.name`",
        "test_roles",
    ),
    MappingRow(
        "chat request",
        "text parts",
        "yes",
        "the text of the message, one part a line",
        "test_roles",
    ),
    MappingRow(
        "chat request",
        "`image_url` parts, by `https:`, `http:` or `data:`",
        "yes",
        "attachments; for a bot on Poe, what is in a `data:` URL is uploaded first",
        "test_images",
    ),
    MappingRow(
        "chat request",
        "`file` parts with `file_data`",
        "yes",
        "attachments, text with `parsed_content`; uploaded likewise",
        "test_files",
    ),
    MappingRow(
        "chat request",
        "`file` parts with `file_id`; `input_audio` parts",
        "refused",
        "there is no Files API, and Poe has no audio input",
        "test_parts_without_an_equivalent",
    ),
    MappingRow(
        "chat request",
        "`tools`, functions and custom",
        "yes",
        "`tools`",
        "test_options_that_a_query_has",
    ),
    MappingRow(
        "chat request",
        "`tool_calls` and `tool` messages after the last `user` message",
        "yes",
        "`tool_calls` and `tool_results` of the query",
        "test_calls_and_results_of_the_last_turn_are_beside_the_messages",
    ),
    MappingRow(
        "chat request",
        "`tool_calls` and `tool` messages of earlier turns",
        "yes",
        "messages of the type `function_call` and of the role `tool`, with JSON",
        "test_calls_of_earlier_turns_stay_in_their_place",
    ),
    MappingRow(
        "chat request",
        "`tool_choice`: `auto`, `none`",
        "yes",
        "as it says; `none` sends no tools",
        "test_options_that_a_query_has",
    ),
    MappingRow(
        "chat request",
        "`temperature`, `stop`, `logit_bias`",
        "yes",
        "`temperature`, `stop_sequences`, `logit_bias`",
        "test_options_that_a_query_has",
    ),
    MappingRow(
        "chat request",
        "`stream`, `stream_options.include_usage`",
        "yes",
        "a stream; its last chunk has the usage, if that is known",
        "usage-of-the-bot",
    ),
    MappingRow(
        "chat request",
        "`include_reasoning`",
        "yes",
        "`reasoning_content` in the reply",
        "reasoning-asked-for",
    ),
    MappingRow(
        "chat request",
        "every other key, such as `max_tokens` or `aspect`",
        "yes",
        "a parameter of the last message, as on Poe",
        "test_unknown_keys_are_parameters_of_the_last_message",
    ),
    MappingRow(
        "chat request",
        "`metadata`, `store`, `user`, `safety_identifier`, `service_tier`, `prediction`, `moderation`,"
        " `prompt_cache_*`",
        "ignored",
        "no answer depends on them",
        "test_values_without_effect_are_accepted",
    ),
    MappingRow(
        "chat request",
        "`n`, `logprobs`, `top_logprobs`, `response_format`, `modalities`, `parallel_tool_calls` with their default",
        "ignored",
        "nothing is to be done",
        "test_values_without_effect_are_accepted",
    ),
    MappingRow(
        "chat request",
        "the same with another value; `tool_choice` that forces a call; `functions`, `function_call`, `audio`,"
        " `web_search_options`",
        "refused",
        "status 400 with `param`: the answer would be another",
        "test_what_would_change_the_answer_is_refused",
    ),
    MappingRow(
        "chat reply",
        "`text`",
        "yes",
        "`content`, a chunk for each event",
        "texts-are-chunks",
    ),
    MappingRow(
        "chat reply",
        "half of a character, as bots in JavaScript send it",
        "yes",
        "joined with the other half in the next text; alone it becomes U+FFFD",
        "halves-of-a-character-are-joined",
    ),
    MappingRow(
        "chat reply",
        "`replace_response`, without a stream",
        "yes",
        "folded: the text before it is not in `content`",
        "replace-differs-appends",
    ),
    MappingRow(
        "chat reply",
        "`replace_response` that extends what was sent, in a stream",
        "yes",
        "the rest, as `content`",
        "replace-extends",
    ),
    MappingRow(
        "chat reply",
        "any other `replace_response`, in a stream",
        "partly",
        "by `on_replace`: `append` sends it after a blank line, `hold` holds all text until the end",
        "replace-differs-appends",
    ),
    MappingRow(
        "chat reply",
        "`json` with tool calls, in any dialect",
        "yes",
        "`tool_calls`: always an index, one id, name and type, in the first part",
        "test_calls_of_any_dialect_are_openais",
    ),
    MappingRow(
        "chat reply",
        "`json` with `content`",
        "yes",
        "`content`",
        "text-in-chunks",
    ),
    MappingRow(
        "chat reply",
        "`json` with `reasoning_content` or `reasoning`",
        "partly",
        "`reasoning_content`, for clients that ask for it, or all by `reasoning`",
        "reasoning-asked-for",
    ),
    MappingRow(
        "chat reply",
        "`json` with `usage`",
        "partly",
        '`usage`, by `usage="bot"`; the default is no usage, since none is invented',
        "usage-of-the-bot",
    ),
    MappingRow(
        "chat reply",
        "`json` of another form",
        "yes",
        "`poe.json` of the last chunk",
        "another-object",
    ),
    MappingRow(
        "chat reply",
        "`finish_reason` of the bot",
        "yes",
        "`length` and `content_filter` as they are; otherwise `tool_calls` or `stop`, in a chunk of its own",
        "truncated-calls",
    ),
    MappingRow(
        "chat reply",
        "`file`",
        "yes",
        "a Markdown link or image in `content`; `images` for an image; `poe.file` of the chunk, and `poe.files` of the"
        " last",
        "an-image",
    ),
    MappingRow(
        "chat reply",
        "`suggested_reply`, `data`, `meta`",
        "yes",
        "`poe.suggested_replies`, `poe.metadata`, `poe.content_type` of the last chunk",
        "suggested-replies",
    ),
    MappingRow(
        "chat reply",
        "several answers, by their index",
        "yes",
        "several `choices`",
        "two-answers",
    ),
    MappingRow(
        "chat reply",
        "heartbeats",
        "yes",
        "chunks with an empty delta; never a comment",
        "keepalive-between-texts",
    ),
    MappingRow(
        "chat reply",
        "`done`",
        "yes",
        "the finish of each choice, and `[DONE]`",
        "one-text",
    ),
    MappingRow(
        "chat errors",
        "`error` before any content",
        "yes",
        'an HTTP status with `{"error": ...}`: the head of a stream is held for it',
        "error-early",
    ),
    MappingRow(
        "chat errors",
        "`error` after content",
        "yes",
        '`data: {"error": ...}` without `[DONE]`; without a stream, the status',
        "error-late",
    ),
    MappingRow(
        "chat errors",
        "`user_message_too_long`, `user_caused_error`",
        "yes",
        "400, `context_length_exceeded`, `user_caused_error`",
        "error-message-too-long",
    ),
    MappingRow(
        "chat errors",
        "`insufficient_fund`",
        "yes",
        "402, `insufficient_quota`",
        "error-insufficient-fund",
    ),
    MappingRow(
        "chat errors",
        "`privacy_authorization_error`",
        "yes",
        "403, `privacy_authorization_error`",
        "error-privacy",
    ),
    MappingRow(
        "chat errors",
        "any other `error`, and a bot that fails",
        "yes",
        "500, `bot_error` or the type, with an error id",
        "failure-early",
    ),
    MappingRow(
        "chat errors",
        "`allow_retry`",
        "yes",
        "`error.poe.allow_retry`",
        "error-early",
    ),
    MappingRow(
        "chat errors",
        "a reply that breaks off",
        "yes",
        "502, `upstream_incomplete`, or that error in the stream; never a success",
        "test_a_reply_that_is_cut_is_an_error_wherever_it_is",
    ),
    MappingRow(
        "chat errors",
        "a bot server that cannot be reached",
        "yes",
        "502, `upstream_unreachable`",
        "test_a_bot_server_that_cannot_be_reached",
    ),
    MappingRow(
        "chat errors",
        "402, 413, 429, 503, 529 of a bot server, or of Poe",
        "yes",
        "402, 413, 429, 503, 503, with its `Retry-After`",
        "test_a_refusal_before_the_reply_is_a_status",
    ),
    MappingRow(
        "chat errors",
        "401, 403, 404 of Poe",
        "yes",
        "the same: they are about the key and the model of the caller",
        "test_a_refusal_of_poe_is_the_callers",
    ),
    MappingRow(
        "chat errors",
        "any other refusal",
        "yes",
        "502, `upstream_refused`; 504 for 408 and 504",
        "test_a_refusal_before_the_reply_is_a_status",
    ),
    MappingRow(
        "chat errors",
        "`x-should-retry`",
        "yes",
        "`false`, unless nothing was done: clients repeat requests by themselves, and a query costs money",
        "test_a_refusal_before_the_reply_is_a_status",
    ),
    MappingRow(
        "chat errors",
        "an unknown model, path, method or key",
        "yes",
        "404, 404, 405, 401, in the same form",
        "test_an_unknown_model",
    ),
)

_RESPONSES: tuple[MappingRow, ...] = (
    MappingRow(
        "responses",
        "`input`: a text, or `message` items with the roles of chat completions",
        "yes",
        "messages, as of chat completions",
        "test_items_with_and_without_a_type",
    ),
    MappingRow(
        "responses",
        "`instructions`",
        "yes",
        "a system message, the first",
        "test_instructions_come_first",
    ),
    MappingRow(
        "responses",
        "`input_image` and `input_file` parts, by URL or with their content",
        "yes",
        "attachments",
        "test_images_and_files",
    ),
    MappingRow(
        "responses",
        "`function_call` and `function_call_output` items",
        "yes",
        "as `tool_calls` and `tool` messages of chat completions",
        "test_calls_and_their_outputs",
    ),
    MappingRow(
        "responses",
        "`reasoning` items",
        "ignored",
        "the bot has written its own, if any",
        "test_items_with_and_without_a_type",
    ),
    MappingRow(
        "responses",
        "other items and parts; `file_id`",
        "refused",
        "status 400 with `param`",
        "test_refused_items",
    ),
    MappingRow(
        "responses",
        "`tools` of the type `function`",
        "yes",
        "`tools`",
        "test_tools_are_flat",
    ),
    MappingRow(
        "responses",
        "`tools` of other types; `tool_choice` that forces a call",
        "refused",
        "a bot on Poe runs no tools of OpenAI's, and decides by itself what it calls",
        "test_refused_options",
    ),
    MappingRow(
        "responses",
        "`temperature`",
        "yes",
        "`temperature`",
        "test_the_response_repeats_the_request",
    ),
    MappingRow(
        "responses",
        "`max_output_tokens`, `reasoning.effort`, `text.verbosity`, unknown keys",
        "yes",
        "parameters of the last message: `max_completion_tokens`, `reasoning_effort`, `verbosity`, and as they are",
        "test_options_become_parameters_under_their_names_in_chat_completions",
    ),
    MappingRow(
        "responses",
        "`store`, `metadata`, `user`, `truncation`, `include`, `service_tier`, `prompt_cache_*`",
        "ignored",
        "nothing is stored, and no answer depends on them",
        "test_what_has_no_effect",
    ),
    MappingRow(
        "responses",
        "`previous_response_id`, `conversation`, `background`, `prompt`, `context_management`",
        "refused",
        "status 400 with `param`: there is no state to refer to",
        "test_refused_options",
    ),
    MappingRow(
        "responses",
        "`text.format` other than text; `top_logprobs`; `parallel_tool_calls: false`",
        "refused",
        "status 400 with `param`: the answer would be another",
        "test_refused_options",
    ),
    MappingRow(
        "responses",
        "`text`, `replace_response`, `file`",
        "yes",
        "one `message` of `output_text`, with the text that chat completions have",
        "test_text",
    ),
    MappingRow(
        "responses",
        "`json` with tool calls",
        "yes",
        "a `function_call` item for each, or a `custom_tool_call`",
        "test_tool_calls",
    ),
    MappingRow(
        "responses",
        "`json` with `usage`",
        "partly",
        "`usage`, as of chat completions",
        "test_usage",
    ),
    MappingRow(
        "responses",
        "`finish_reason` of the bot",
        "yes",
        "`incomplete` with a reason for `length` and `content_filter`; otherwise `completed`",
        "test_an_answer_that_was_cut_short_is_incomplete",
    ),
    MappingRow(
        "responses",
        "`suggested_reply`, `data`, `meta`, `file`",
        "yes",
        "`poe` of the final response",
        "test_files_and_extras",
    ),
    MappingRow(
        "responses",
        "heartbeats",
        "yes",
        "a repeated `response.in_progress`",
        "test_keepalives_repeat_that_the_response_is_in_progress",
    ),
    MappingRow(
        "responses",
        "an error before any content",
        "yes",
        "an HTTP status, as of chat completions",
        "test_an_early_error_is_a_status",
    ),
    MappingRow(
        "responses",
        "an error after content",
        "yes",
        "`response.failed` with what there is, then an `error` event, which clients raise",
        "test_a_late_error_fails_the_response_and_is_raised",
    ),
)

_BOT: tuple[MappingRow, ...] = ()

MAPPING = (*_CHAT, *_RESPONSES, *_BOT)

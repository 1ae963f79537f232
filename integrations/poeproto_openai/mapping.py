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
    MappingRow(
        "chat errors",
        "an `error` event whose `raw_response` has the `status` 429, 503 or 529, as `OpenAIBot` sends it",
        "yes",
        "429 or 503, with the `retry_after` of `raw_response` as `Retry-After`",
        "test_a_gateway_before_the_bot_keeps_retry_after",
    ),
)

_RESPONSES: tuple[MappingRow, ...] = ()

_BOT: tuple[MappingRow, ...] = (
    MappingRow(
        "bot request",
        "roles `system`, `user`, `bot`, `tool`",
        "yes",
        "`system`, `user`, `assistant`, `tool`; any other role is `user`",
        "test_a_conversation_and_its_answer",
    ),
    MappingRow(
        "bot request",
        "`tools`, and `tool_calls` and `tool_results` of the last turn",
        "yes",
        "`tools`; after the messages, an `assistant` message with the calls and a `tool` message for each result",
        "test_tools_are_offered_and_their_calls_and_results_are_sent_back",
    ),
    MappingRow(
        "bot request",
        "messages of the type `function_call`, and of the role `tool`, with JSON",
        "yes",
        "the calls and results of earlier turns",
        "test_tools_are_offered_and_their_calls_and_results_are_sent_back",
    ),
    MappingRow(
        "bot request",
        "a message without text and attachments",
        "ignored",
        "is left out, unless it is the last one",
        "test_messages_that_openai_has_no_form_for",
    ),
    MappingRow(
        "bot request",
        "images of a user",
        "yes",
        '`image_url` with the URL; with `attachments="data"`, with the content',
        "test_attachments_by_url",
    ),
    MappingRow(
        "bot request",
        "text files, web pages and PDFs with parsed content",
        "yes",
        "the text, between two lines with the name",
        "test_attachments_by_url",
    ),
    MappingRow(
        "bot request",
        "other files of a user",
        "partly",
        'a line that says that the content is not included; with `attachments="data"`, a `file` part',
        "test_attachments_with_their_content",
    ),
    MappingRow(
        "bot request",
        "files of the bot's own messages",
        "partly",
        "a line with the name and type",
        "test_attachments_by_url",
    ),
    MappingRow(
        "bot request",
        "parameters that `options` offers",
        "yes",
        "the key of that name; a value out of range is an `error` with `user_caused_error`",
        "test_options_of_the_user_and_of_the_bot",
    ),
    MappingRow(
        "bot request",
        "other parameters",
        "ignored",
        "nothing: they could change the model, or the cost",
        "test_options_of_the_user_and_of_the_bot",
    ),
    MappingRow(
        "bot request",
        "`temperature` of the query",
        "partly",
        "`temperature`, if `options` offers it: some models refuse it",
        "test_temperature_is_not_sent_where_it_is_not_offered",
    ),
    MappingRow(
        "bot request",
        "`stop_sequences`, `logit_bias`",
        "yes",
        "`stop`, `logit_bias`",
        "test_options_of_the_user_and_of_the_bot",
    ),
    MappingRow(
        "bot request",
        "`skip_system_prompt`",
        "yes",
        "the bot's `system_prompt` is left out",
        "test_a_query_in_the_url_and_further_headers_and_keys_as_azure_wants_them",
    ),
    MappingRow(
        "bot request",
        "identifiers of users and conversations",
        "ignored",
        "nothing: the endpoint learns no more than the conversation",
        "test_a_conversation_and_its_answer",
    ),
    MappingRow(
        "bot reply",
        "`delta.content`: a string, or parts",
        "yes",
        "`text`",
        "OpenAI: text, usage in a chunk without choices",
    ),
    MappingRow(
        "bot reply",
        "`refusal`",
        "yes",
        "`text`",
        "a refusal instead of content",
    ),
    MappingRow(
        "bot reply",
        "`reasoning_content`, `reasoning`, parts with `thinking`, `<think>` at the beginning",
        "partly",
        "a quotation before the answer with `show_reasoning`; otherwise it is dropped",
        "vLLM: reasoning_content",
    ),
    MappingRow(
        "bot reply",
        "tool calls in any dialect",
        "yes",
        "at the end, each whole in a `json` event with an index and an id; then the finish reason in one of its own",
        "OpenAI: three calls in parallel",
    ),
    MappingRow(
        "bot reply",
        "`finish_reason: stop` with calls",
        "yes",
        "`tool_calls`",
        "finish reason stop, though there are calls",
    ),
    MappingRow(
        "bot reply",
        "`finish_reason: length`",
        "yes",
        "the text so far, and a `json` event with `length`",
        "finish reason length",
    ),
    MappingRow(
        "bot reply",
        "`finish_reason: content_filter`",
        "yes",
        "after text, a `json` event with `content_filter`; without any, an `error`",
        "finish reason content_filter without text",
    ),
    MappingRow(
        "bot reply",
        "`usage`, also under other names",
        "yes",
        "what the rate card charges, and a `json` event with the usage as it was reported",
        "test_an_upper_bound_is_authorised_and_the_reported_usage_is_captured",
    ),
    MappingRow(
        "bot reply",
        "no usage, or one that cannot be read",
        "partly",
        "nothing is charged, or an estimate, as the rate card says; either is logged",
        "test_without_usage_the_rule_of_the_rate_card_holds_and_is_logged",
    ),
    MappingRow(
        "bot reply",
        "several choices",
        "yes",
        "several answers, by `index`",
        "several choices, each with calls",
    ),
    MappingRow(
        "bot reply",
        "a whole completion in JSON, or a chunk a line",
        "yes",
        "the same events",
        "the whole completion in JSON",
    ),
    MappingRow(
        "bot reply",
        "comments, `ping` events, empty records",
        "ignored",
        "nothing",
        "keepalive comments within",
    ),
    MappingRow(
        "bot reply",
        "`poe` of this project's gateway",
        "yes",
        "`file`, `replace_response`, `suggested_reply`, `data`",
        "our gateway: a file, and the text after it",
    ),
    MappingRow(
        "bot reply",
        "images, audio, annotations, citations, log probabilities",
        "ignored",
        "nothing",
        "Perplexity: the message so far in every chunk",
    ),
    MappingRow(
        "bot errors",
        "the end without a finish reason, `[DONE]` or not",
        "yes",
        "an `error` that allows a retry",
        "[DONE] without a finish reason",
    ),
    MappingRow(
        "bot errors",
        "a connection that breaks off, or a timeout",
        "yes",
        "an `error` that allows a retry, with the reason in `raw_response`",
        "test_an_answer_that_breaks_off",
    ),
    MappingRow(
        "bot errors",
        "`error` in a chunk, an `error` event, or instead of a completion: an object or a string",
        "yes",
        "an `error` with the endpoint's message and its fields in `raw_response`",
        "an error object in a chunk",
    ),
    MappingRow(
        "bot errors",
        "429 and 503",
        "yes",
        "an `error` that allows a retry; `raw_response` has the `status` and `retry_after`. Nothing is retried",
        "test_retry_after_is_kept",
    ),
    MappingRow(
        "bot errors",
        "401 and 403",
        "yes",
        "an `error` without a retry, which says that the operator has to act; the endpoint's message is not shown",
        "test_a_status_becomes_an_error",
    ),
    MappingRow(
        "bot errors",
        "other 4xx, `insufficient_quota`",
        "yes",
        "an `error` without a retry; 408, 409 and 425 allow one",
        "test_a_status_becomes_an_error",
    ),
    MappingRow(
        "bot errors",
        "5xx",
        "yes",
        "an `error` that allows a retry",
        "test_a_status_becomes_an_error",
    ),
    MappingRow(
        "bot errors",
        "`context_length_exceeded`, 413",
        "yes",
        "`error_type: user_message_too_long`",
        "test_the_error_types_that_poe_knows",
    ),
    MappingRow(
        "bot errors",
        "a web page, or JSON that cannot be read",
        "yes",
        "an `error` that allows a retry",
        "a web page",
    ),
    MappingRow(
        "bot errors",
        "the user stops the reply, or disconnects",
        "yes",
        "the connection to the endpoint is closed",
        "test_a_disconnect_closes_the_connection_to_the_endpoint",
    ),
)

MAPPING = (*_CHAT, *_RESPONSES, *_BOT)

"""The rules of messages: those that the lint checks in a request, in the settings of a bot, and in a reply.

https://creator.poe.com/docs/server-bots/poe-protocol-specification
"""

from __future__ import annotations

from collections.abc import Mapping

from poeproto.lint.rule import EDITIONS, Level, Rule

__all__ = ["MESSAGE_RULES"]

MUST, SHOULD, MAY = Level.MUST, Level.SHOULD, Level.MAY
EVER = EDITIONS
SINCE_2024 = frozenset({2024, 2025})
SINCE_2025 = frozenset({2025})
REQUEST = frozenset({"request"})
URL = frozenset[str]()
QUERY = frozenset({"query"})

RESPONSE = "The query request type: Response"
DROPPED = "Poe silently drops all parameter controls if one of them is invalid."

# Not for the formatter: a rule is a line that classifies it, and three of prose.
# fmt: off

_REQUEST = (
    Rule(
        "request.method", "Requests", MUST, EVER, REQUEST,
        "The method of a request is `POST`.",
        "Bot servers answer another method with a page for people, or with status 405.",
        "Send the request by `POST`.",
    ),
    Rule(
        "request.content-type", "Requests", MUST, EVER, REQUEST,
        "The content type of a request is `application/json`. Parameters, such as a `charset`, are accepted.",
        "Some bot servers refuse the request with status 415 or 422, and do not read the body.",
        "Set `Content-Type: application/json`.",
    ),
    Rule(
        "request.authorization", "Authentication", SHOULD, EVER, REQUEST,
        "A request has the header `Authorization: Bearer <key>`. The scheme is accepted in any case. A bot that was"
        " set up without a key accepts a request without the header, too.",
        "Bot servers answer with status 401.",
        "Add the header, with the access key of the bot or, for a call of another bot, with the key of the user.",
    ),
    Rule(
        "request.json", "Requests", MUST, EVER, REQUEST,
        "The body of a request is one JSON object.",
        "The bot server answers with status 400, whatever the body was meant to be.",
        "Serialise the body with a JSON library. Write no NaN, no Infinity, and at most 200 levels of nesting.",
    ),
    Rule(
        "request.duplicate-keys", "JSON (RFC 8259)", SHOULD, EVER, REQUEST,
        "No object in a request has a key twice.",
        "Most readers take the last value, some the first, and some refuse the object.",
        "Write each key once.",
    ),
    Rule(
        "request.surrogates", "JSON (RFC 8259)", SHOULD, EVER, REQUEST,
        "No string of a request has half a character: a surrogate without its partner, as in `\\ud83d`.",
        "A reader that cannot store it shows a replacement character, or fails. Programs whose strings are UTF-16 make"
        " such strings when they cut text within an emoji.",
        "Cut text between characters: in JavaScript with `Array.from`, or with `TextDecoder` in stream mode.",
    ),
    Rule(
        "request.type", "Requests", MUST, EVER, REQUEST,
        "`type` is a string.",
        "The bot server cannot know which request it is, and answers with status 400.",
        "Add the key `type`: `query`, `settings`, `report_feedback`, `report_reaction` or `report_error`.",
    ),
    Rule(
        "request.known-type", "Requests", MUST, EVER, REQUEST,
        "`type` is one of those that the specification has.",
        "Bot servers answer an unknown type with status 501, and do nothing.",
        "Correct the spelling, or do not send the request.",
    ),
    Rule(
        "request.version", "Versioning", SHOULD, EVER, REQUEST,
        "`version` is there: the version of the protocol, as in `1.2`. A body without it is accepted, too.",
        "The specification requires it in every request, and a bot server may depend on it.",
        'Add `"version": "1.2"`.',
    ),
    Rule(
        "request.key-in-body", "Authentication", MUST, EVER, REQUEST,
        "The body has no `access_key` and no `api_key`: a key belongs in the `Authorization` header.",
        "Bodies are logged and recorded. A bot that forwards its query sends the key to another bot.",
        "Send `Authorization: Bearer <key>`, and remove the key from the body.",
    ),
    Rule(
        "request.identifiers", "The query request type", SHOULD, EVER, REQUEST,
        "A query and a report have `user_id`, `conversation_id` and `message_id`. The sample of the specification"
        " itself lacks them, so a body without them is accepted, too.",
        "A bot that keeps something by user or conversation cannot tell them apart.",
        "Add the identifiers. An unknown one may be an empty string.",
    ),
    Rule(
        "request.identifier-form", "Identifiers", MAY, EVER, REQUEST,
        "An identifier is a tag of its kind (`u`, `c`, `m` or `d`), a hyphen, and 32 characters from a-z, 0-9 and =."
        " An empty one is accepted, and so is the shorter one of the specification's sample.",
        "A bot that validates identifiers refuses the request.",
        "Make it with `poeproto.identifiers.make_identifier`, or forward the one that was received.",
    ),
    Rule(
        "request.required-fields", "The query request type", MUST, EVER, REQUEST,
        "A query has `query`, a message has `role` and `content`, and so on: required fields are there.",
        "The bot server answers with status 400.",
        "Add the field that the finding names.",
    ),
    Rule(
        "request.field-types", "The query request type", MUST, EVER, REQUEST,
        "Each field has the type that the specification gives it. A whole number may be written as `1.0`.",
        "The bot server answers with status 400.",
        "Write the value as the type that the finding names.",
    ),
    Rule(
        "request.null-fields", "The query request type", MAY, EVER, REQUEST,
        "A field that is not set is left out, rather than null. Null is accepted and means the default.",
        "A bot server whose schema is strict refuses null.",
        "Leave the key out.",
    ),
    Rule(
        "request.known-readers", "The query request type", MAY, EVER, REQUEST,
        "`reason` of feedback, and `description` and `parameters` of a function, are there, though the specification"
        " lets a writer leave them out.",
        "Bot servers of `fastapi_poe` refuse a request in which one of these keys is missing.",
        'Write `"reason": null`, `"description": ""` and `"parameters": {"type": "object", "properties": {}}`.',
    ),
    Rule(
        "request.unknown-fields", "Versioning", MAY, EVER, REQUEST,
        "Objects have the keys that the specification gives them. A reader ignores others.",
        "An unknown key has no effect; it may be a misspelt one.",
        "Correct the spelling, or remove the key.",
    ),
    Rule(
        "request.unknown-values", "The query request type", MAY, EVER, REQUEST,
        "Roles, content types, message types, feedback types and reactions are those that the specification has. A"
        " reader accepts others.",
        "A bot server may ignore the message or the report.",
        "Use a value that the finding lists.",
    ),
    Rule(
        "request.deprecated-fields", "The query request type", SHOULD, SINCE_2025, REQUEST,
        "A message has `sender` rather than `sender_id`.",
        "Newer bot servers do not read the deprecated field.",
        "Write `sender` with an `id`.",
    ),
    Rule(
        "request.empty-query", "The query request type", SHOULD, EVER, REQUEST,
        "`query` has at least one message.",
        "There is nothing to reply to, and many bots read the last message without checking that there is one.",
        "Send the message of the user.",
    ),
    Rule(
        "request.temperature", "The query request type", SHOULD, SINCE_2024, REQUEST,
        "`temperature` is zero or more.",
        "A model behind the bot refuses a negative one.",
        "Write zero, or leave the key out.",
    ),
    Rule(
        "request.logit-bias", "The query request type", SHOULD, SINCE_2024, REQUEST,
        "Each value of `logit_bias` is in the range -100 to 100.",
        "A model behind the bot refuses a value outside the range.",
        "Keep the values within the range.",
    ),
    Rule(
        "request.inline-ref", "The query request type", SHOULD, SINCE_2025, REQUEST,
        "`inline_ref` of an attachment is a label; without one the key is left out or null, rather than empty.",
        "A reader treats the empty string as a label, and searches for it in the text.",
        "Leave the key out.",
    ),
    Rule(
        "limits.messages", "Limits", SHOULD, SINCE_2024, REQUEST,
        "A query has at most 1,000 messages: the last ones.",
        "Poe cuts a longer conversation. A bot is not prepared for a longer one.",
        "Send the last 1,000 messages.",
    ),
)

_SETTINGS = (
    Rule(
        "settings.json", "The settings request type", MUST, EVER, URL,
        "The answer to a settings request is one JSON object.",
        "Poe ignores it, and keeps the settings that it had, or its defaults.",
        "Serialise the settings with a JSON library.",
    ),
    Rule(
        "settings.duplicate-keys", "JSON (RFC 8259)", SHOULD, EVER, URL,
        "No object in the settings has a key twice.",
        "Most readers take the last value, some the first, and some refuse the object.",
        "Write each key once.",
    ),
    Rule(
        "settings.surrogates", "JSON (RFC 8259)", SHOULD, EVER, URL,
        "No string of the settings has half a character: a surrogate without its partner, as in `\\ud83d`.",
        "A reader that cannot store it shows a replacement character, or fails. Programs whose strings are UTF-16 make"
        " such strings when they cut text within an emoji.",
        "Cut text between characters: in JavaScript with `Array.from`, or with `TextDecoder` in stream mode.",
    ),
    Rule(
        "settings.field-types", "The settings request type", MUST, EVER, URL,
        "Each setting has the type that the specification gives it. A whole number may be written as `2.0`.",
        "Poe refuses the settings as a whole, and sends a `report_error`.",
        "Write the value as the type that the finding names.",
    ),
    Rule(
        "settings.unknown-fields", "The settings request type", MUST, EVER, URL,
        "Settings have the keys that the specification gives them.",
        "Poe refuses settings with other keys.",
        "Correct the spelling, or remove the key.",
    ),
    Rule(
        "settings.null-fields", "The settings request type", SHOULD, EVER, URL,
        "A setting that is not set is left out, rather than null.",
        "Defaults differ by version, and null is not a default: Poe may refuse it or take it for false.",
        "Leave the key out.",
    ),
    Rule(
        "settings.deprecated-fields", "The settings request type", SHOULD, SINCE_2025, URL,
        "Settings have none of `context_clear_window_secs`, `allow_user_context_clear`, `custom_rate_card` and"
        " `enable_multi_bot_chat_prompting`.",
        "Poe may ignore them.",
        "Write `enable_multi_entity_prompting` for `enable_multi_bot_chat_prompting`, and leave the others out.",
    ),
    Rule(
        "settings.response-version", "The settings request type", SHOULD, SINCE_2025, URL,
        "`response_version` is 2 or more.",
        "A missing one means 0, under which Poe ignores newer settings and has other defaults.",
        'Add `"response_version": 2`.',
    ),
    Rule(
        "settings.dependencies", "The settings request type", MUST, SINCE_2024, URL,
        "In `server_bot_dependencies` the number of calls of each bot is zero or more.",
        "Poe may refuse the settings, and then each call to another bot.",
        "Declare how many calls one message may cause.",
    ),
)

_CONTROLS = (
    Rule(
        "controls.response-version", "The settings request type", MUST, SINCE_2025, URL,
        "Settings with `parameter_controls` have a `response_version` of 2 or more.",
        "Poe ignores the controls under an older version.",
        'Add `"response_version": 2`.',
    ),
    Rule(
        "controls.api-version", "Parameter controls", MUST, SINCE_2025, URL,
        '`api_version` of the parameter controls is `"2"`. A missing one is accepted.',
        DROPPED,
        'Write `"api_version": "2"`: a string.',
    ),
    Rule(
        "controls.kinds", "Parameter controls", MUST, SINCE_2025, URL,
        "`control` of each control is a kind that the documentation has.",
        DROPPED,
        "Use a kind that the finding lists.",
    ),
    Rule(
        "controls.required-fields", "Parameter controls", MUST, SINCE_2025, URL,
        "Each control has the fields that its kind requires.",
        DROPPED,
        "Add the field that the finding names.",
    ),
    Rule(
        "controls.field-types", "Parameter controls", MUST, SINCE_2025, URL,
        "Each field of a control has the type that its kind requires.",
        DROPPED,
        "Write the value as the type that the finding names.",
    ),
    Rule(
        "controls.unknown-fields", "Parameter controls", MUST, SINCE_2025, URL,
        "Sections, tabs and controls have the keys that the documentation gives them.",
        DROPPED,
        "Correct the spelling, or remove the key.",
    ),
    Rule(
        "controls.null-fields", "Parameter controls", SHOULD, SINCE_2025, URL,
        "A field of a control that is not set is left out, rather than null. Null is accepted as the name of a section"
        " or tab: `fastapi_poe` pushes it to Poe.",
        "Poe may refuse null in other fields, and drop all controls.",
        "Leave the key out.",
    ),
    Rule(
        "controls.parameter-name", "Parameter controls", MUST, SINCE_2025, URL,
        "`parameter_name` has only the letters A to Z and a to z, digits and underscores, and does not start with"
        " `poe_`.",
        DROPPED,
        "Rename the parameter.",
    ),
    Rule(
        "controls.default-value", "Parameter controls", MUST, SINCE_2025, URL,
        "`default_value` is in the range of a slider, or among the options of a choice.",
        DROPPED,
        "Choose a default that a user could choose.",
    ),
    Rule(
        "controls.shared-default", "Parameter controls", MUST, SINCE_2025, URL,
        "Controls of one `parameter_name` have one `default_value`.",
        "Which default applies is undefined, and Poe may drop the controls.",
        "Repeat the same default in each of them.",
    ),
    Rule(
        "controls.slider-range", "Parameter controls", MUST, SINCE_2025, URL,
        "A slider has a `max_value` greater than its `min_value`, and a `step` greater than zero.",
        DROPPED,
        "Correct the range.",
    ),
    Rule(
        "controls.options", "Parameter controls", MUST, SINCE_2025, URL,
        "A choice has at least one option, and no two options of one value.",
        DROPPED,
        "Add an option, or give each option a value of its own.",
    ),
    Rule(
        "controls.aspect-ratio", "Parameter controls", MUST, SINCE_2025, URL,
        "`width` and `height` of an aspect ratio are greater than zero.",
        DROPPED,
        "Write the ratio as two positive numbers, as in 16 and 9.",
    ),
    Rule(
        "controls.section", "Parameter controls", MUST, SINCE_2025, URL,
        "A section has either `controls` or `tabs`.",
        DROPPED,
        "Move the controls into a tab, or make two sections.",
    ),
    Rule(
        "controls.empty", "Parameter controls", MUST, SINCE_2025, URL,
        "The lists `controls` and `tabs` are not empty.",
        DROPPED,
        "Add an element, or remove the list itself.",
    ),
    Rule(
        "controls.nested-condition", "Parameter controls", MUST, SINCE_2025, URL,
        "No `condition` control is within another one.",
        DROPPED,
        "Put the two conditions beside each other.",
    ),
    Rule(
        "controls.comparator", "Parameter controls", MUST, SINCE_2025, URL,
        "`comparator` is one of `eq`, `ne`, `gt`, `ge`, `lt` and `le`. The `equals` of the documentation's text is"
        " accepted, too.",
        DROPPED,
        "Use one of these words.",
    ),
    Rule(
        "controls.old-comparator", "Parameter controls", SHOULD, SINCE_2025, URL,
        "The comparator of equality is `eq`. The documentation also calls it `equals`.",
        "The examples of the documentation have `eq`, and so do Poe's own libraries; `equals` may be refused.",
        "Write `eq`.",
    ),
)

_EVENT = (
    Rule(
        "event.json", RESPONSE, MUST, EVER, QUERY,
        "The data of each event is one JSON object. An event without a `data` line has none.",
        "Poe cannot read the event, and drops it or the reply.",
        "Serialise the data with a JSON library, in one `data:` line.",
    ),
    Rule(
        "event.done-data", RESPONSE, SHOULD, EVER, QUERY,
        "The data of `done` is a JSON object, as in `{}`. The specification requires JSON there, and all readers"
        " ignore it.",
        "A reader that parses the data before it compares the name fails at the very end of a reply.",
        "Write `data: {}`.",
    ),
    Rule(
        "event.duplicate-keys", "JSON (RFC 8259)", SHOULD, EVER, QUERY,
        "No object in an event has a key twice.",
        "Most readers take the last value, some the first, and some refuse the object.",
        "Write each key once.",
    ),
    Rule(
        "event.surrogates", "JSON (RFC 8259)", SHOULD, EVER, QUERY,
        "No string of an event has half a character: a surrogate without its partner, as in `\\ud83d`.",
        "A reader that cannot store it shows a replacement character, or fails. Programs whose strings are UTF-16 make"
        " such strings when they cut text within an emoji.",
        "Cut text between characters: in JavaScript with `Array.from`, or with `TextDecoder` in stream mode.",
    ),
    Rule(
        "event.names", RESPONSE, SHOULD, EVER, QUERY,
        "The name of each event is one that the specification has. `ping` is accepted: it keeps a connection open.",
        "Readers ignore other events, so their content is lost.",
        "Correct the spelling after `event:`. An event without a name is called `message`, which Poe ignores.",
    ),
    Rule(
        "event.required-fields", RESPONSE, MUST, EVER, QUERY,
        "Each event has the fields that its name requires: `text`, or `url`, `name` and `content_type` of a `file`, or"
        " `metadata` of a `data` event.",
        "Poe drops the event or the reply.",
        "Add the field that the finding names.",
    ),
    Rule(
        "event.field-types", RESPONSE, MUST, EVER, QUERY,
        "Each field of an event has the type that the specification gives it.",
        "Poe drops the event or the reply.",
        "Write the value as the type that the finding names.",
    ),
    Rule(
        "event.index", RESPONSE, SHOULD, SINCE_2025, QUERY,
        "`index` is an integer within ±(2^53 - 1), if it is there.",
        "Readers treat the event as one without an index, so its text joins another answer.",
        "Number the answers from 0 with integers: not strings, and not booleans.",
    ),
    Rule(
        "event.unknown-fields", RESPONSE, MAY, EVER, QUERY,
        "Events have the keys that the specification gives them. A reader ignores others.",
        "An unknown key has no effect; it may be a misspelt one.",
        "Correct the spelling, or remove the key.",
    ),
    Rule(
        "event.null-fields", RESPONSE, MAY, EVER, QUERY,
        "A field of an event that is not set is left out, rather than null, where the specification does not allow"
        " null.",
        "A reader whose schema is strict refuses null.",
        "Leave the key out.",
    ),
    Rule(
        "event.known-readers", RESPONSE, MAY, SINCE_2025, QUERY,
        "`inline_ref` of a `file` is there, though the specification lets a writer leave it out.",
        "Servers of `fastapi_poe` write null for it, and a reader that was written by their example wants the key.",
        'Write `"inline_ref": null`.',
    ),
    Rule(
        "event.unknown-values", RESPONSE, MAY, EVER, QUERY,
        "`content_type` of `meta` and `error_type` of `error` have values that the specification has.",
        "Poe shows another content type as plain text, and may handle another type of error like one without a type.",
        "Use a value that the finding lists.",
    ),
    Rule(
        "event.deprecated-fields", RESPONSE, SHOULD, SINCE_2024, QUERY,
        "`meta` has no `linkify`.",
        "Poe may ignore it.",
        "Leave the key out.",
    ),
    Rule(
        "event.inline-ref", RESPONSE, SHOULD, SINCE_2025, QUERY,
        "`inline_ref` of a `file` is a label; without one it is left out or null, rather than empty. `fastapi_poe`"
        " requires the key, so null is the form that all readers accept.",
        "A reader treats the empty string as a label, and searches for it in the text.",
        'Write `"inline_ref": null`.',
    ),
    Rule(
        "event.traceback", RESPONSE, SHOULD, EVER, QUERY,
        "The `text` of an `error` has no stack trace.",
        "The user may see it, with paths, versions and sometimes values of the server.",
        "Log the exception, and send a text of your own, with the number of the log entry.",
    ),
)

_REPLY = (
    Rule(
        "reply.status", RESPONSE, MUST, EVER, QUERY,
        "The answer to a query has status 200.",
        "Poe shows an error to the user, whatever the body is.",
        "Answer with status 200, and report a failure by an `error` event.",
    ),
    Rule(
        "reply.answer", RESPONSE, MUST, EVER, QUERY,
        "Before `done` there is an answer. The specification asks for a `text` or an `error`; a `replace_response`, a"
        " `file` and a `json` are accepted, too.",
        "Poe treats the reply as an error.",
        "Send at least one of these events; after a failure, an `error`.",
    ),
    Rule(
        "reply.done", RESPONSE, MUST, EVER, QUERY,
        "A reply ends with `done`.",
        "Without it, a complete reply looks like one that was cut, and is treated as an error.",
        "Send `done` after the last event, and after an `error`, too.",
    ),
    Rule(
        "reply.done-after-error", RESPONSE, SHOULD, EVER, QUERY,
        "A reply that failed ends with `done`, after its `error`. Poe closes the connection after an `error`, so a"
        " reply without it is accepted.",
        "A reader that waits for `done` reads on until the connection is closed.",
        "Send `done` after `error`.",
    ),
    Rule(
        "reply.after-done", RESPONSE, MUST, EVER, QUERY,
        "`done` is the last event.",
        "Poe closes the connection after it, so all later events are lost.",
        "Send `done` once, at the end.",
    ),
    Rule(
        "reply.after-error", RESPONSE, MUST, EVER, QUERY,
        "After an `error` there is only `done`. This holds for the whole reply, whatever the `index` of the `error`.",
        "Poe closes the connection after an `error`, so all later events are lost.",
        "End the reply at an `error`. If the bot can go on, send no `error`.",
    ),
    Rule(
        "reply.meta-first", RESPONSE, SHOULD, EVER, QUERY,
        "`meta` is the first event, if there is one.",
        "Poe ignores a later one, so its content type and its suggested replies have no effect.",
        "Send `meta` before everything else, and only once.",
    ),
)

_FRAMING = (
    Rule(
        "framing.content-type", "Server-sent events", MUST, EVER, QUERY,
        "The content type of a reply is `text/event-stream`.",
        "Readers refuse a stream of another content type.",
        "Set `Content-Type: text/event-stream`.",
    ),
    Rule(
        "framing.compression", "HTTP semantics (RFC 9110)", MUST, EVER, QUERY,
        "A reply is not compressed, whatever the request accepts.",
        "Compression delays events until a block is full, and a reader that did not ask for it cannot read them.",
        "Exclude the bot's path, or the content type `text/event-stream`, from the compression of the server or proxy.",
    ),
    Rule(
        "framing.cache-control", "HTTP semantics (RFC 9110)", MAY, EVER, QUERY,
        "`Cache-Control` of a reply says `no-cache`, or `no-store`.",
        "A proxy may store the reply, or collect it before it forwards it.",
        "Set `Cache-Control: no-cache, no-transform`.",
    ),
    Rule(
        "framing.proxy-buffering", "The query request type: Response", MAY, EVER, QUERY,
        "The head of a reply has `X-Accel-Buffering: no`.",
        "Proxies such as nginx collect events until a buffer is full, unless they are configured otherwise.",
        "Set `X-Accel-Buffering: no`. Behind nginx, ignore this finding: nginx obeys the header and removes it.",
    ),
    Rule(
        "framing.utf-8", "Server-sent events", SHOULD, EVER, QUERY,
        "A stream is in UTF-8.",
        "Readers replace invalid bytes by U+FFFD, so characters are lost.",
        "Encode the stream as UTF-8. Do not cut a character in two when you decode the output of a model.",
    ),
    Rule(
        "framing.last-event", "Server-sent events", MUST, EVER, QUERY,
        "The last event ends with a blank line, like every event.",
        "Readers discard an event that the end of the stream cuts off.",
        "Write two line ends after the last `data:` line.",
    ),
)

_LIMITS = (
    Rule(
        "limits.events", "Limits", MUST, EVER, QUERY,
        "A reply has at most 10,000 events (1,000 in the edition of 2023). `error` and `done` are not counted here;"
        " the specification does not say whether it counts them.",
        "Poe may cut the reply there, and show an error.",
        "Send larger pieces of text: several tokens in one event.",
    ),
    Rule(
        "limits.text", "Limits", MUST, EVER, QUERY,
        "Each answer has at most 512,000 characters of text (10,000 in the edition of 2023, 100,000 from 2024 to the"
        " middle of 2025). The specification adds up all `text` events; here a `replace_response` starts again,"
        " and each `index` counts by itself.",
        "Poe may cut the reply there, and show an error.",
        "Send a shorter answer, or send the text as a file.",
    ),
    Rule(
        "limits.files", "Functional guides", MUST, SINCE_2025, QUERY,
        "A reply has at most 20 `file` events.",
        "Poe may refuse the other files.",
        "Send fewer files, or an archive.",
    ),
    Rule(
        "limits.event-size", "Limits", SHOULD, EVER, QUERY,
        "An event has at most 16 MiB. The specification has no such limit; this one is far above the longest text.",
        "Every reader limits the size of one event; ours refuses the reply.",
        "Send several events, or a file.",
    ),
    Rule(
        "time.first-event", "Limits", MUST, EVER, QUERY,
        "The first event of a reply arrives within 5 seconds. Comments and `ping` do not count.",
        "Poe may cut the reply there, and show an error.",
        "Send `meta` or an empty `text` at once, before the bot calls a model.",
    ),
    Rule(
        "time.gaps", "The query request type: Response", SHOULD, EVER, QUERY,
        "Within a reply something arrives at least every 60 seconds: an event, a `ping` or a comment. The"
        " specification says nothing about gaps; many proxies allow a minute.",
        "A proxy on the way closes a connection on which nothing arrives, and the reply is cut.",
        "Send a comment, a line that starts with a colon, every 15 seconds while the bot waits.",
    ),
    Rule(
        "time.total", "Limits", MUST, EVER, QUERY,
        "A reply is complete within 3,600 seconds (120 in the editions of 2023 and 2024, 600 in the middle of 2025).",
        "Poe may cut the reply there, and show an error.",
        "End the reply earlier, and continue in the next one.",
    ),
)

# fmt: on

MESSAGE_RULES: Mapping[str, Rule] = {
    rule.id: rule for rules in (_REQUEST, _SETTINGS, _CONTROLS, _EVENT, _REPLY, _FRAMING, _LIMITS) for rule in rules
}
"""The rules that the lint judges, by id."""

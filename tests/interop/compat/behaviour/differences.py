"""The deliberate differences between fastapi_poe and poeproto_compat: the list, from which the pages are written."""

from __future__ import annotations

import attrs


@attrs.frozen
class Difference:
    """One of them.

    Attributes:
        theirs: what fastapi_poe does.
        here: what poeproto_compat does.
        why: the reason, where it is not plain.
    """

    theirs: str
    here: str
    why: str = ""


# By the keys that the cases name. Differences that make a bot or its user safer come first, then those that a program
# may notice.
DIFFERENCES = {
    "bot exceptions": Difference(
        "sends the text of a bot's exception to Poe, and its `repr` in `raw_response`",
        "the user sees a neutral error with an error id; the log has it, with the file and line",
        "it may contain secrets",
    ),
    "key checks": Difference(
        "compares access keys character by character, and takes the first of two `Authorization` headers",
        "in constant time; two headers get status 401",
        "a key could be guessed from response times; a proxy may take the other header",
    ),
    "hidden keys": Difference(
        "the repr of a bot, and the body of a call, have the access key",
        "the repr hides it; a call has it in the header only",
        "both are logged",
    ),
    "exits": Difference(
        "calls `sys.exit` if a key is wrong",
        "raises `ValueError` with the same advice",
        "a library does not end its host",
    ),
    "settings at the start": Difference(
        "sends the settings when `make_app` is called",
        "when the server starts; an application mounted in another sends none, so pass that as `app=`",
        "importing a program has no effect on Poe",
    ),
    "retries": Difference(
        "repeats a query after part of its reply was received",
        "repeats only before the first event",
        "the user would see text twice",
    ),
    "incomplete": Difference(
        "takes a stream that breaks off for a whole reply",
        "raises `IncompleteReply`, a `BotError`, unless `allow_missing_done=True`",
        "an answer that was cut short is not an answer",
    ),
    "sessions": Difference("closes the caller's `session`", "leaves it open", "who made it may need it again"),
    "connections": Difference(
        "without a `session`, each call opens a connection", "calls share the event loop's", "it is faster"
    ),
    "bounds": Difference("bodies and replies have no bounds", "16 MiB, and 3,600 seconds", "memory is bounded"),
    "invalid requests": Difference(
        "an invalid request gets status 500; NaN, 500 levels of JSON, a byte order mark and a `temperature` that is no"
        " number are taken",
        "status 400, or an error event if only these types refuse it",
        "it names what is wrong; Poe sends nothing of this",
    ),
    "invalid settings": Difference(
        "sends settings that Poe refuses, as controls with bounds in the wrong order",
        "status 500; the log names the place",
        "Poe drops all controls silently",
    ),
    "invalid events": Difference(
        "a record with invalid data is sent", "the reply ends with an error, which the log explains", "Poe refuses it"
    ),
    "ignored events": Difference(
        "sends a late `meta`, events of unknown names, and events after `error` or `done`",
        "leaves them out, and logs unknown names",
        "Poe ignores them",
    ),
    "empty text": Difference(
        "a reply without an answer is `done` alone", "an empty text is sent first", "the protocol wants an answer"
    ),
    "settings on the wire": Difference(
        "the settings have a null for each field that is not set, empty dependencies, and"
        " `enable_multi_bot_chat_prompting` under this old name",
        "they leave such fields out, and use `enable_multi_entity_prompting`",
        "Poe takes both for the same",
    ),
    "unsendable": Difference(
        "a query with an infinite number or a wrong value is sent or repeated, one with a lone surrogate fails",
        "`BotErrorNoRetry` before it is sent; surrogates are escaped",
        "no server can read it",
    ),
    "received events": Difference(
        "an invalid event of a called bot raises one of several errors, or is skipped or reported to the bot, as is"
        " `data`; `raw_response` of a `meta` has what was received",
        "`BotErrorNoRetry`; `data` and unknown content types are read; `raw_response` has the defaults too",
        "a repetition gets the same",
    ),
    "tools": Difference(
        "a call of an unknown tool, with bad arguments, or with parts left out, ends the reply or is dropped",
        "the model gets the error as the result; parts are read as far as they go",
        "it can correct itself; some models leave parts out",
    ),
    "costs": Difference(
        "calls about costs raise `httpx.HTTPError`, an answer that breaks off counts as no funds, and a cost of zero or"
        " less is sent",
        "`CostRequestError`",
        "unknown is not unable to pay; Poe refuses such a cost",
    ),
    "errors of calls": Difference(
        "`on_error` gets, and `upload_file` and `sync_bot_settings` raise, httpx's exceptions",
        "poeproto's; `AttachmentUploadError` and `BotError`",
        "httpx need not be installed",
    ),
    "application": Difference(
        "`make_app` returns a FastAPI application, with `/docs`, `/openapi.json`, and redirects from `/bot/` to `/bot`;"
        " `base` has its middleware and handlers",
        "poeproto's own, without these; `app=` takes yours",
        "FastAPI need not be installed",
    ),
    "not pydantic": Difference(
        "types are pydantic's models",
        "types of their own, with the same fields, checks and methods, also as fields of your models. But"
        " `isinstance(message, pydantic.BaseModel)` is false, a FastAPI route takes one as"
        " `Annotated[ProtocolMessage, Body()]`, and pydantic's validators in a derived class raise `TypeError`",
        "importing pydantic takes longer than all of poeproto",
    ),
    "rarely used": Difference(
        "types have `model_validate_strings`, `model_parametrized_name`, `from_orm`, `parse_file` and `strict=True`;"
        " they take an enumeration's member for an integer, and dump durations, but no fields that a derived type adds;"
        " schemas refer to each other",
        "they have not, `strict` has no effect, and members are refused; durations raise `ValueError`, all fields are"
        " dumped, and a schema contains the others",
        "no program is known that depends on it",
    ),
    "own records": Difference(
        "`text_event` and its like return records of sse_starlette's class",
        "of our own, with the same attributes; both may be yielded",
        "sse-starlette need not be installed",
    ),
    "words": Difference(
        "the sentences of exceptions, warnings, prints and the attachment templates; some warnings name a line of"
        " fastapi_poe",
        "our own; types, the types and places of `errors()`, and names and placeholders of templates are the same;"
        " warnings name the line of the program",
        "programs check types, not sentences",
    ),
    "wrong arguments": Difference(
        "arguments of a wrong type or value raise `AttributeError`, `AssertionError`, `OverflowError` or other errors,"
        " some at the first request only",
        "`TypeError`, `ValueError` or `InvalidParameterError` at once, which say what to pass",
        "",
    ),
    "accepted": Difference(
        "refuses `MetaResponse` without a text, `RequestContext` of any object, strings as `file_data`, tools as dicts,"
        " `.json(indent=2)`, `on_error=None`, an own `Accept` header, a `SettingsResponse` in `sync_bot_settings`,"
        " `app=` of Starlette, an `__init__` that does not call `PoeBot`'s, calls and files of a bot without a key, and"
        " `InsufficientFundError` from an own `get_response_with_context`",
        "takes them; calls and files use the key that Poe sends with the query",
        "public programs and the guides do so",
    ),
    "answered requests": Difference(
        "refuses `HEAD`, `bearer` in small letters, and with `allow_without_key=True` a request without the header",
        "answers them",
        "as HTTP has it, and as the argument's name says",
    ),
    "bugs": Difference(
        "changes the dict that `QueryRequest.from_dict` gets and the JSON of `context.http_request`; fails or cuts at"
        " `***` in an image's description; calls `on_error` again for one failure; sends the rest of a file when it"
        " retries; takes `?` and `#` in a bot's name for parts of the URL",
        "does not",
        "",
    ),
}

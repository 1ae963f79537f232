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


# By the keys that the cases name. The most important come first.
DIFFERENCES = {
    "bot exceptions": Difference(
        "sends the text of a bot's exception to Poe, and its `repr` in `raw_response`",
        "the user sees a neutral error with an error id; the log has it, with the file and line",
        "it may contain secrets",
    ),
    "constant time": Difference(
        "compares access keys character by character", "in constant time", "a key could be guessed from response times"
    ),
    "exits": Difference(
        "calls `sys.exit` if a key is wrong",
        "raises `ValueError` with the same advice",
        "a library does not end its host",
    ),
    "settings at the start": Difference(
        "sends the settings when `make_app` is called",
        "when the server starts",
        "importing a program has no effect on Poe",
    ),
    "null settings": Difference(
        "the settings have a null for each field that is not set, and empty dependencies",
        "they leave the field out",
        "Poe takes both for the same",
    ),
    "renamed setting": Difference(
        "sends `enable_multi_bot_chat_prompting` under its old name",
        "as `enable_multi_entity_prompting`",
        "Poe knows both",
    ),
    "invalid settings": Difference(
        "sends settings that Poe refuses, as controls with bounds in the wrong order",
        "status 500; the log names the place",
        "Poe drops all controls silently",
    ),
    "own init": Difference(
        "a bot fails at its first query if its `__init__` or `__post_init__` does not call that of `PoeBot`",
        "it answers",
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
    "wrong sessions": Difference(
        "an object that is no session raises `AttributeError`", "`TypeError`, which says what to pass"
    ),
    "not pydantic": Difference(
        "types are pydantic's models: `isinstance(message, pydantic.BaseModel)` is true",
        "types of their own, with the same fields, checks and methods",
        "importing pydantic takes longer than all of poeproto",
    ),
    "routes": Difference(
        "a FastAPI route takes a type as its body",
        "it needs `Annotated[ProtocolMessage, Body()]`",
        "FastAPI looks for pydantic's models",
    ),
    "pydantic validators": Difference(
        "pydantic's validators work in classes derived from the types",
        "they raise `TypeError` when the class is made",
        "they would have no effect",
    ),
    "words": Difference(
        "the sentences of exceptions, warnings and prints",
        "our own; types, and the types and places of `errors()`, are the same",
    ),
    "schemas": Difference(
        "JSON Schemas refer to those of inner types", "they contain them; a type within itself is any object"
    ),
    "rare methods": Difference(
        "types have `model_validate_strings`, `model_parametrized_name`, `from_orm` and `parse_file`",
        "they have not",
        "no program is known that uses them",
    ),
    "json options": Difference("`.json(indent=2)` raises `TypeError`", "works, as before pydantic 2"),
    "from_dict": Difference(
        "`QueryRequest.from_dict` changes the dict that it gets",
        "leaves it; errors name the whole path to a value",
    ),
    "request context": Difference(
        "`RequestContext` refuses what is no request of Starlette's", "takes any object", "tests make their own"
    ),
    "meta text": Difference("`MetaResponse` needs a text", "it needs none", "programs leave it out"),
    "infinite costs": Difference(
        "an infinite cost raises `OverflowError`", "`ValueError`", "as any cost that is not a number"
    ),
    "derived in fields": Difference(
        "a derived type in a field is dumped without its own fields", "with them", "what was set is not lost"
    ),
    "durations": Difference(
        "in JSON, durations are ISO 8601's and small numbers `1e-7`",
        "durations raise `ValueError`, and `1e-07` is the same number",
    ),
    "enumerations": Difference(
        "any member of an enumeration is taken for an integer", "it is refused", "the field would not be an integer"
    ),
    "strict": Difference("`strict=True` when validating", "accepted, without effect"),
    "hidden key": Difference("the repr of a bot shows its access key", "hides it", "it would be logged"),
    "own records": Difference(
        "`text_event` and its like return records of sse_starlette's class",
        "of our own, with the same attributes; both may be yielded",
    ),
    "funds": Difference(
        "`InsufficientFundError` counts only in the default `get_response_with_context`",
        "in any override",
        "the user should know",
    ),
    "ignored events": Difference(
        "a late `meta`, and events of unknown names, are sent",
        "they are left out, and unknown names are logged",
        "Poe ignores them",
    ),
    "after the end": Difference(
        "a bot's events after `error` or `done` are sent", "they are left out", "Poe ignores them"
    ),
    "invalid events": Difference(
        "a record with invalid data is sent", "the reply ends with an error, which the log explains", "Poe refuses it"
    ),
    "empty text": Difference(
        "a reply without an answer is `done` alone", "an empty text is sent first", "the protocol wants an answer"
    ),
    "templates": Difference(
        "the sentences of the attachment templates", "poeproto's own, with the same names and placeholders"
    ),
    "images in the message": Difference(
        "`concat_attachment_content_to_message_body` raises `IndexError` for an image without `***`, and cuts its"
        " description at the second",
        "takes the whole, as `insert_attachment_messages` does",
    ),
    "file arguments": Difference(
        "`post_message_attachment` without a `message_id` raises `AssertionError`, with an empty key `ValueError`",
        "`InvalidParameterError`, which says what to do",
    ),
    "received key": Difference(
        "`post_message_attachment` of a bot without a key raises `InvalidParameterError`",
        "it uploads with the key that Poe sends with the query",
        "the guide's example has no key",
    ),
    "strings as files": Difference(
        "a string as `file_data` raises `AttributeError`", "is uploaded in UTF-8", "the guide's example passes one"
    ),
    "cost errors": Difference(
        "calls about costs raise `httpx.HTTPError`; an answer that breaks off counts as no funds",
        "both raise `CostRequestError`",
        "unknown is not unable to pay",
    ),
    "no cost": Difference("sends a cost of zero or less", "raises `CostRequestError`", "Poe refuses it"),
    "invalid requests": Difference(
        "an invalid request gets status 500",
        "400, or an error event if only these types refuse it",
        "it names what is wrong",
    ),
    "strict requests": Difference(
        "takes NaN, JSON of more than 500 levels, a byte order mark, and a `temperature` that is no number",
        "status 400",
        "it is not valid, and Poe does not send it",
    ),
    "bounds": Difference("bodies and replies have no bounds", "16 MiB, and 3,600 seconds", "memory is bounded"),
    "slashes": Difference(
        "a `path` without a slash raises `AssertionError`, and `/bot/` redirects to `/bot`",
        "`ValueError`, and 404",
        "one address for a bot",
    ),
    "application": Difference(
        "`make_app` returns a FastAPI application, with `/docs` and `/openapi.json`",
        "poeproto's own; `app=` takes yours",
        "FastAPI need not be installed",
    ),
    "wrong applications": Difference(
        "`app=` of another type raises `AttributeError`", "`TypeError`, which says what to do"
    ),
    "Starlette": Difference("`app=` takes no Starlette application", "it does"),
    "wrong bots": Difference(
        "what is no bot raises `TypeError` or `AttributeError`, and an empty list serves nothing",
        "`TypeError` or `ValueError`, which say what is wrong",
    ),
    "impossible keys": Difference(
        "a key that no request can have is taken, as bytes or letters beyond ASCII",
        "raises `TypeError` or `ValueError`",
        "each request would get 401",
    ),
    "HEAD": Difference("answers `HEAD` with 405", "as `GET`", "monitors use it"),
    "schemes": Difference("refuses `bearer` in small letters", "takes it", "schemes are case-insensitive in HTTP"),
    "two keys": Difference(
        "takes the first of two `Authorization` headers", "status 401", "a proxy may take the other"
    ),
    "no key": Difference(
        "with `allow_without_key=True`, refuses a request without a key", "answers it", "as the name says"
    ),
    "places of warnings": Difference(
        "some warnings name a line of fastapi_poe", "the line of the program", "it can be found"
    ),
    "json of the request": Difference("`context.http_request.json()` also has the request itself", "what was received"),
    "own handlers": Difference(
        "`handle_settings` and `handle_report_...` may be overridden", "the server calls `get_settings` and `on_...`"
    ),
    "invalid events received": Difference(
        "an invalid event raises different errors, or is skipped", "`BotErrorNoRetry`", "a repetition gets the same"
    ),
    "once": Difference("`on_error` may be called several times for one failure", "once"),
    "no handler": Difference("`on_error=None` raises `TypeError` at the first failure", "means no handler"),
    "HTTP errors": Difference(
        "`on_error` gets httpx's exceptions", "poeproto's, whose messages say what to do", "httpx need not be installed"
    ),
    "reports": Difference(
        "reports `data` as unknown, and a reply of `json` alone as empty, to the bot", "takes them as the protocol does"
    ),
    "meta received": Difference(
        "`raw_response` of a `meta` has what was received; an unknown `content_type` raises",
        "it has the defaults too; an unknown `content_type` is passed on",
        "later versions may have more",
    ),
    "keys in the body": Difference(
        "the access key is part of the body", "it is in the header only", "bodies are logged"
    ),
    "key of the request": Difference(
        "a call without `api_key` fails with an illegal header", "uses the access key of the request"
    ),
    "unsendable": Difference(
        "a query with an infinite number or a wrong value is sent or repeated, one with a lone surrogate fails",
        "`BotErrorNoRetry` before it is sent; surrogates are escaped",
    ),
    "bot names": Difference(
        "`?` and `#` in a bot's name begin the query or fragment of the URL", "they are escaped", "they are names"
    ),
    "tools as dicts": Difference("tools must be objects", "may be dicts too"),
    "own Accept": Difference("`extra_headers` cannot set `Accept`", "it can"),
    "tool errors": Difference(
        "a tool that is unknown or has bad arguments ends the call",
        "the model gets the error as the result",
        "it can correct itself",
    ),
    "tool chunks": Difference(
        "a part of a tool call without an id, arguments or `finish_reason` ends the call or is dropped",
        "it is read as far as it goes",
        "some models send it",
    ),
    "connections": Difference(
        "without a `session`, each call opens a connection", "calls share the event loop's", "it is faster"
    ),
    "upload errors": Difference(
        "`upload_file` and `sync_bot_settings` raise httpx's errors",
        "`AttachmentUploadError` and `BotError`",
        "one type to catch",
    ),
    "uploads retried": Difference("a retried upload of a file object sends what is left of it", "the whole file"),
    "wrong files": Difference(
        "a `file` that is no file raises `AttributeError` after all attempts, a `bytearray` too",
        "`TypeError` at once; strings and `bytearray` are uploaded",
    ),
    "file names": Difference(
        "an object with `read` needs a `file_name`, a name that is a number fails, and a backslash is doubled",
        "the object's name is used, `ValueError` asks for one, and a backslash stays",
    ),
    "no attempts": Difference("`num_tries=0` of an upload raises `AssertionError`", "`ValueError`"),
    "settings as objects": Difference(
        "`sync_bot_settings` takes a dict", "a `SettingsResponse` too", "it is what bots have"
    ),
    "framework": Difference(
        "`base` has its middleware, exception handler and `http_bearer` for FastAPI",
        "they have no counterpart",
        "the server is poeproto's",
    ),
}


def table() -> str:
    """The list as it stands in the page on moving from fastapi_poe."""
    rows = [f"| {each.theirs} | {each.here} | {each.why} |" for each in DIFFERENCES.values()]
    return "\n".join(["| fastapi_poe | here | why |", "|---|---|---|", *rows]).replace("|  |", "| |")

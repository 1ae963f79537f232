"""The rules of a bot server: those that can only be judged by requests made on purpose, as `poeproto check` makes them.

https://creator.poe.com/docs/server-bots/poe-protocol-specification
"""

from __future__ import annotations

from collections.abc import Mapping

from poeproto.lint.rule import EDITIONS, Level, Rule

__all__ = ["SERVER_RULES"]

MUST, SHOULD, MAY = Level.MUST, Level.SHOULD, Level.MAY
EVER = EDITIONS
SINCE_2025 = frozenset({2025})
URL = frozenset[str]()
KEY = frozenset({"access-key"})
QUERY = frozenset({"query"})
WATCHED_QUERY = frozenset({"query", "target"})

HTTP = "HTTP semantics (RFC 9110)"
HTTP_1 = "HTTP/1.1 (RFC 9112)"
UNHANDLED = "Status 500 means that an exception was not handled. Anybody who knows the URL can fill the log with them."

# Not for the formatter: a rule is a line that classifies it, and three of prose.
# fmt: off

_AUTH = (
    Rule(
        "auth.missing-key", "Authentication", MUST, EVER, KEY,
        "A request without a key is refused with status 401. The specification names no status, so 403 is accepted,"
        " too.",
        "Anyone who knows the URL can use the bot, and whatever it pays for.",
        "Compare the key of each request with the bot's, before anything else.",
    ),
    Rule(
        "auth.wrong-key", "Authentication", MUST, EVER, KEY,
        "A request with another key is refused with status 401. The specification names no status, so 403 is accepted,"
        " too.",
        "Anyone who knows the URL can use the bot, and whatever it pays for.",
        "Compare the key of each request with the bot's, in constant time, and all of it.",
    ),
    Rule(
        "auth.other-schemes", "Authentication", MUST, EVER, KEY,
        "The key is accepted under the scheme `Bearer` alone: a request with the key under another scheme, or without"
        " one, is refused with status 401. 403 is accepted, too.",
        "A server that takes any text for a key probably compares only a part of the header, and accepts more than it"
        " should.",
        "Split the header at its first space, and compare both parts.",
    ),
    Rule(
        "auth.scheme-case", HTTP, SHOULD, EVER, KEY,
        "The scheme `Bearer` is accepted in any case (RFC 9110, 11.1).",
        "A proxy or a client that writes `bearer` is refused.",
        "Compare the scheme in lower case.",
    ),
    Rule(
        "auth.body-key", "Authentication", MUST, EVER, KEY,
        "A key in the body is ignored: `access_key` or `api_key` there gives no access to a request without a header,"
        " and takes none from a request with the right one.",
        "A body passes through logs and other bots, which a key should not. Clients of `fastapi_poe` put keys of their"
        " own into bodies.",
        "Read the key from the `Authorization` header alone.",
    ),
    Rule(
        "auth.challenge", HTTP, SHOULD, EVER, KEY,
        "An answer with status 401 has a `WWW-Authenticate` header (RFC 9110, 11.6.1).",
        "A client cannot know which scheme the server wants.",
        "Add `WWW-Authenticate: Bearer`.",
    ),
    Rule(
        "auth.key-leak", "Authentication", MUST, EVER, KEY,
        "No answer contains the access key: neither a header nor a body, of success or failure.",
        "The key reaches logs, proxies and users.",
        "Send no headers and no settings objects, above all not in error messages.",
    ),
)

_REQUEST_TYPES = (
    Rule(
        "settings.status", "The settings request type", SHOULD, EVER, URL,
        "A settings request is answered with status 200. A bot without settings may answer with 501.",
        "Poe keeps the settings that it had, or its defaults, and asks again later.",
        "Answer with status 200 and a JSON object: `{}` if there is nothing to set.",
    ),
    Rule(
        "settings.content-type", "The settings request type", SHOULD, EVER, URL,
        "The content type of settings is `application/json`.",
        "A reader may refuse the body unread.",
        "Set `Content-Type: application/json`.",
    ),
    Rule(
        "report.error", "The report_error request type", SHOULD, EVER, URL,
        "A `report_error` is answered with status 200. Poe ignores the answer, so another 2xx and 501 are accepted,"
        " too.",
        "Poe tells a bot about its mistakes by this request alone; a server that fails on it hides them.",
        "Log the message, and answer with status 200 and `{}`.",
    ),
    Rule(
        "report.feedback", "The report_feedback request type", SHOULD, EVER, URL,
        "A `report_feedback` is answered with status 200. Poe ignores the answer, so another 2xx and 501 are accepted,"
        " too.",
        UNHANDLED,
        "Answer with status 200 and `{}`, also if the bot has no use for it.",
    ),
    Rule(
        "report.reaction", "The report_reaction request type", SHOULD, SINCE_2025, URL,
        "A `report_reaction` is answered with status 200, whatever the reaction. Poe ignores the answer, so another"
        " 2xx and 501 are accepted, too.",
        UNHANDLED,
        "Answer with status 200 and `{}`, also if the bot has no use for it.",
    ),
    Rule(
        "input.unknown-type", "Requests", SHOULD, EVER, URL,
        "A request of an unknown type is ignored, ideally with status 501. Another answer that is not a failure of the"
        " server (2xx) is accepted, too.",
        "Poe may add types at any time. " + UNHANDLED,
        "Answer with status 501 to each type that the bot server does not know.",
    ),
)

_INPUT = (
    Rule(
        "input.unknown-keys", "Versioning", SHOULD, EVER, URL,
        "Keys without a meaning are ignored: a request with further keys is answered like one without.",
        "The bot fails on the day that Poe adds a key.",
        "Let the schema of requests allow further keys.",
    ),
    Rule(
        "input.version", "Versioning", SHOULD, EVER, URL,
        "A request with a later `version` is answered like one of today's.",
        "The bot fails on the day that Poe counts the version up.",
        "Do not compare the version, or only its first number.",
    ),
    Rule(
        "input.charset", HTTP, SHOULD, EVER, URL,
        "The content type of a request may have a parameter, as in `application/json; charset=utf-8`.",
        "A request that passed through a library or proxy that adds it is refused.",
        "Compare the media type without its parameters.",
    ),
    Rule(
        "input.unknown-values", "The query request type", SHOULD, EVER, QUERY,
        "A query with messages of an unknown role, content type, message type or feedback type gets a reply: the bot"
        " ignores these messages, or reads them as far as it can.",
        "The bot fails on the day that Poe adds a value, in each conversation that has one.",
        "Read these fields as strings, and compare them with the values that the bot knows.",
    ),
    Rule(
        "input.null-fields", "The query request type", SHOULD, EVER, QUERY,
        "A query with null in its optional fields gets a reply: null means the default.",
        "Other bots and libraries write null for unset fields; their queries fail.",
        "Let the schema of requests allow null in optional fields.",
    ),
    Rule(
        "input.sample", "The query request type", MAY, EVER, QUERY,
        "The sample of the specification itself, a query without `user_id`, `conversation_id` and `message_id`, gets a"
        " reply. The specification also calls these fields required, so a bot may refuse it with status 400.",
        "Clients that were written by the sample fail.",
        "Read a missing identifier as an empty string.",
    ),
    Rule(
        "input.empty-query", "The query request type", SHOULD, EVER, QUERY,
        "A query without messages is refused with a 4xx status, or gets a reply: an `error` event, or anything else.",
        UNHANDLED,
        "Check that there is a message before reading the last one.",
    ),
    Rule(
        "input.json", "Requests", SHOULD, EVER, URL,
        "A body that is not JSON, or empty, is refused with status 400. Another 4xx is accepted, too.",
        UNHANDLED,
        "Handle the error of the JSON parser.",
    ),
    Rule(
        "input.utf-8", "JSON (RFC 8259)", SHOULD, EVER, URL,
        "A body that is not UTF-8 is refused with status 400. Another 4xx is accepted, too.",
        UNHANDLED,
        "Handle the error of the decoder like that of the JSON parser.",
    ),
    Rule(
        "input.object", "Requests", SHOULD, EVER, URL,
        "A body that is JSON but not an object is refused with status 400. Another 4xx is accepted, too.",
        UNHANDLED,
        "Check that the body is an object before reading its keys.",
    ),
    Rule(
        "input.type", "Requests", SHOULD, EVER, URL,
        "A body without `type`, or with one that is not a string, is refused with status 400. Another 4xx and 501 are"
        " accepted, too.",
        UNHANDLED,
        "Check that `type` is there before comparing it.",
    ),
    Rule(
        "input.required-fields", "The query request type", SHOULD, EVER, QUERY,
        "A query without `query` is refused with status 400. Another 4xx is accepted, too.",
        UNHANDLED,
        "Validate the body before the bot reads it, and answer with the path of the field.",
    ),
    Rule(
        "input.field-types", "The query request type", SHOULD, EVER, QUERY,
        "A query with a field of the wrong type is refused with status 400. Another 4xx is accepted, too.",
        UNHANDLED,
        "Validate the body before the bot reads it, and answer with the path of the field.",
    ),
    Rule(
        "input.nesting", "JSON (RFC 8259)", SHOULD, EVER, URL,
        "A body that is nested 100,000 levels deep is refused with a 4xx status. If the levels are in a key without a"
        " meaning, a server that ignores them may also answer as usual.",
        "A parser that descends once a level exhausts the stack: an exception at best, the end of the process at"
        " worst.",
        "Use a parser that limits the depth, and handle its error.",
    ),
    Rule(
        "input.numbers", "JSON (RFC 8259)", SHOULD, EVER, URL,
        "A body with NaN, 1e999 or an integer of 10,000 digits is refused with a 4xx status. If they are in a key"
        " without a meaning, a server that ignores them may also answer as usual.",
        UNHANDLED,
        "Use a parser that refuses these numbers, and handle its error.",
    ),
    Rule(
        "input.traceback", "Requests", SHOULD, EVER, URL,
        "The answer to a bad request has no stack trace.",
        "It shows paths, versions and sometimes values of the server to anyone.",
        "Switch the debug mode of the framework off, and log the exception instead.",
    ),
    Rule(
        "input.survival", "Requests", MUST, EVER, URL,
        "After each bad request the server still answers a good one.",
        "One request of anyone stops the bot for all users.",
        "Handle exceptions in each request, not around the loop or process that serves them.",
    ),
)

_HTTP = (
    Rule(
        "http.messages", HTTP_1, MUST, EVER, URL,
        "Each response is a valid HTTP message that ends as its head says: by the last chunk, at its `Content-Length`,"
        " or by the end of a connection that the head announced.",
        "A reader cannot distinguish a complete response from a cut one, and cannot use the connection again.",
        "Leave heads and chunks to the server. Do not end the process or the task while a response is under way.",
    ),
    Rule(
        "http.get", HTTP, SHOULD, EVER, URL,
        "`GET` is answered without a failure of the server: with a page, or with status 405. Any other status below"
        " 500, and 501, are accepted, too.",
        "Browsers and monitors send `GET` to see whether the server is there. " + UNHANDLED,
        "Answer with a small page.",
    ),
    Rule(
        "http.head", HTTP, SHOULD, EVER, URL,
        "The answer to `HEAD` has no body (RFC 9110, 9.3.2), whatever its status.",
        "A body after the answer to `HEAD` is read as the beginning of the next answer.",
        "Handle `HEAD` like `GET`; most servers then leave the body out.",
    ),
    Rule(
        "http.methods", HTTP, SHOULD, EVER, URL,
        "A method other than `POST`, `GET`, `HEAD` and `OPTIONS` is refused with status 405. Another 4xx and 501 are"
        " accepted, too.",
        UNHANDLED,
        "Route the bot's path for `POST` and `GET` alone.",
    ),
    Rule(
        "http.allow", HTTP, SHOULD, EVER, URL,
        "An answer with status 405 has an `Allow` header (RFC 9110, 15.5.6).",
        "A client cannot know which method the server wants.",
        "Add `Allow: GET, HEAD, POST`, with the methods that the server knows.",
    ),
    Rule(
        "http.unknown-path", HTTP, MAY, EVER, URL,
        "A request for a path where there is no bot is refused with status 404. 401, 403 and 405 are accepted, too; so"
        " is a bot that has all paths to itself.",
        UNHANDLED,
        "Leave unknown paths to the server or framework.",
    ),
    Rule(
        "http.large-body", HTTP, SHOULD, EVER, URL,
        "A body of 768 KiB is read. Queries of 1,000 messages are as large.",
        "Long conversations fail, and only these.",
        "Raise the limit of the server, of the framework, and of the proxy before them.",
    ),
    Rule(
        "http.body-limit", HTTP, MAY, EVER, URL,
        "A body of 64 MiB is refused with status 413, or the server closes the connection. Another 4xx is accepted,"
        " too.",
        "A server that stores whatever it is sent runs out of memory.",
        "Limit the size of bodies, in the framework or in the proxy before it.",
    ),
    Rule(
        "http.cut-body", HTTP_1, MUST, EVER, URL,
        "A request whose body ends before its `Content-Length` is not acted on (RFC 9112, 8): the server answers with"
        " a 4xx status, or closes the connection.",
        "A cut request is taken for another one, and the server may wait for the rest forever.",
        "Read bodies with the server's own reader, which checks the length.",
    ),
    Rule(
        "http.slow-request", HTTP_1, SHOULD, EVER, URL,
        "A request that arrives in pieces, some hundred milliseconds apart, is answered like one that arrives whole.",
        "Requests over slow networks and through proxies are cut at any byte.",
        "Read until the length is reached, rather than once.",
    ),
    Rule(
        "http.chunked-body", HTTP_1, SHOULD, EVER, URL,
        "A request with `Transfer-Encoding: chunked` is answered like one with a `Content-Length`. Status 411 is"
        " accepted, too.",
        "Some proxies forward bodies in chunks.",
        "Read bodies with the server's own reader, which knows chunks.",
    ),
    Rule(
        "http.reuse", HTTP_1, SHOULD, EVER, URL,
        "A connection serves a second request, unless the first response said `Connection: close` (RFC 9112, 9.3).",
        "A client that uses the connection again loses the request.",
        "Read each request to its end before answering, or say `Connection: close`.",
    ),
    Rule(
        "http.pipelining", HTTP_1, MUST, EVER, URL,
        "Requests that are sent on one connection without waiting are answered in their order (RFC 9112, 9.3.2), or"
        " the server closes the connection after an answer.",
        "A client takes the answer to one request for that to another.",
        "Leave connections to an HTTP server that is made for it.",
    ),
    Rule(
        "time.settings", "Limits", MUST, EVER, URL,
        "Settings arrive within 5 seconds.",
        "Poe keeps the settings that it had, or its defaults.",
        "Compute the settings beforehand.",
    ),
)

_STREAM = (
    Rule(
        "framing.buffering", "The query request type: Response", SHOULD, EVER, QUERY,
        "Events arrive when the bot sends them: a reply that takes longer than a second does not arrive all at once.",
        "The user sees nothing until the end, and a long reply misses the limit for the first event.",
        "Switch buffering off in the server and in each proxy: `X-Accel-Buffering: no`, `Cache-Control: no-transform`.",
    ),
    Rule(
        "framing.close", "The query request type: Response", SHOULD, EVER, QUERY,
        "The body of a reply ends within 5 seconds after `done`.",
        "The connection stays open without a use, on both sides.",
        "Return from the handler after `done`.",
    ),
    Rule(
        "reply.parallel", "The query request type: Response", MUST, EVER, QUERY,
        "Replies to queries that arrive at the same time are not mixed up: each has the events of its own, in order.",
        "A user reads the reply to another user.",
        "Keep the data of a query in local variables, not on the bot or in a module.",
    ),
    Rule(
        "http.disconnect", HTTP, MUST, EVER, QUERY,
        "After a client has disconnected in the middle of a reply, the server answers the next request.",
        "Every user who closes the page, or presses stop, weakens the server a little.",
        "Handle the error of writing to a closed connection.",
    ),
    Rule(
        "http.disconnect-noticed", "The query request type: Response", SHOULD, EVER, WATCHED_QUERY,
        "A bot is cancelled within 5 seconds after its client has disconnected.",
        "It goes on to call models that cost money, for a reply that nobody reads.",
        "Watch the connection while the bot runs, and cancel the bot when it is closed.",
    ),
)

# fmt: on

SERVER_RULES: Mapping[str, Rule] = {
    rule.id: rule for rules in (_AUTH, _REQUEST_TYPES, _INPUT, _HTTP, _STREAM) for rule in rules
}
"""The rules that only requests made on purpose can judge, by id."""

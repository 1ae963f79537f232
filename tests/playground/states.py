"""States of the playground as its backend sends them: a bot, a conversation, messages and an exchange."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

CONVERSATION = "c-1"
EXCHANGE = "2"

CONTROLS: Json = {
    "api_version": "2",
    "sections": [
        {
            "name": "Style",
            "controls": [
                {
                    "control": "drop_down",
                    "label": "Breed",
                    "description": "Whose voice answers.",
                    "parameter_name": "breed",
                    "options": [{"value": "siamese", "name": "Siamese"}, {"value": "manx", "name": "Manx"}],
                    "default_value": "siamese",
                },
                {"control": "divider"},
                {"control": "toggle_switch", "label": "Purr", "parameter_name": "purr", "default_value": False},
                {
                    "control": "condition",
                    "condition": {
                        "comparator": "eq",
                        "left": {"parameter_name": "purr"},
                        "right": {"literal": True},
                    },
                    "controls": [
                        {
                            "control": "slider",
                            "label": "Loudness",
                            "parameter_name": "loudness",
                            "min_value": 0,
                            "max_value": 10,
                            "step": 1,
                            "default_value": 3,
                        }
                    ],
                },
            ],
        },
        {
            "name": "More",
            "tabs": [
                {
                    "name": "Words",
                    "controls": [
                        {"control": "text_field", "label": "Name", "parameter_name": "name", "placeholder": "Tom"},
                        {
                            "control": "text_area",
                            "label": "Story",
                            "parameter_name": "story",
                            "default_value": "Once upon a time",
                        },
                    ],
                },
                {
                    "name": "Picture",
                    "controls": [
                        {
                            "control": "aspect_ratio",
                            "label": "Shape",
                            "parameter_name": "shape",
                            "options": [{"width": 1, "height": 1}, {"width": 16, "height": 9}],
                            "default_value": "16:9",
                        }
                    ],
                },
            ],
        },
    ],
}

ANSWER = """Here is a **summary** of [the specification](https://creator.poe.com/docs).

| event | bytes | share |
|:------|------:|:-----:|
| text  |   120 | 93 %  |
| done  |    22 |  7 %  |

- [x] read the request
- [ ] answer it

```python
async def respond(request: QueryRequest) -> AsyncIterator[str]:
    # A comment, a string and a number.
    yield f"You said {request.query[-1].content!r}", 42
```

> Formulas stay as they are: $E = mc^2$ and \\(a_1 * b_1 * c_1\\).
"""


def finding(**changes: Any) -> Json:
    usual: Json = {
        "side": "response",
        "path": "events[1].text",
        "rule": "event.field-types",
        "level": "MUST",
        "message": "a number; a string was expected",
        "section": "Server-sent events: text",
        "section_url": "https://creator.poe.com/docs/server-bots/poe-protocol-specification",
        "why": "Poe shows an error in its place.",
        "fix": "Send a string.",
        "event": 1,
        "offset": 40,
    }
    return usual | changes


def bot(name: str = "Cat", **changes: Any) -> Json:
    usual: Json = {
        "name": name,
        "kind": "target",
        "target": "cat.py:bot",
        "url": None,
        "status": "running",
        "error": None,
        "generation": 1,
        "settings": {
            "response_version": 2,
            "introduction_message": "I am a **cat**. Ask me anything.",
            "allow_attachments": True,
            "parameter_controls": CONTROLS,
        },
        "settings_error": None,
        "settings_findings": [],
    }
    return usual | changes


def conversation(id: str = CONVERSATION, **changes: Any) -> Json:
    usual: Json = {
        "id": id,
        "title": "What passes between us",
        "bot": "Cat",
        "created": 1_780_000_000.0,
        "messages": 2,
        "streaming": False,
        "network": False,
        "forked_from": None,
        "parameters": {},
    }
    return usual | changes


def message(id: str, text: str, role: str = "bot", **changes: Any) -> Json:
    usual: Json = {
        "id": id,
        "role": role,
        "bot": "Cat",
        "texts": [{"index": 0, "epoch": 0, "text": text}],
        "content_type": "text/markdown",
        "status": "complete",
        "error": None,
        "suggested_replies": [],
        "attachments": [],
        "parameters": None,
        "feedback": None,
        "reactions": [],
        "metadata": None,
        "data_events": 0,
        "exchange": EXCHANGE if role == "bot" else None,
        "spent": 0,
        "at": 1_780_000_000.0,
        "first_event_ms": None,
        "duration_ms": None,
    }
    return usual | changes


def exchange(id: str = EXCHANGE, **changes: Any) -> Json:
    usual: Json = {
        "id": id,
        "source": "live",
        "direction": "to-bot",
        "kind": "query",
        "bot": "Cat",
        "conversation": CONVERSATION,
        "message": "m-2",
        "parent": None,
        "method": "POST",
        "url": "http://127.0.0.1:8080/",
        "status": 200,
        "started": 1_780_000_000.0,
        "first_byte_ms": 3.1,
        "duration_ms": 840.2,
        "outcome": "eof",
        "detail": "",
        "request_size": 40,
        "response_size": 20_480,
        "reads": 300,
        "events": 300,
        "omitted": 0,
        "findings": {"MUST": 1, "SHOULD": 0, "MAY": 0},
        "logs": 1,
        "resent_from": None,
    }
    return usual | changes


def log(number: int = 1, **changes: Any) -> Json:
    usual: Json = {
        "number": number,
        "at": 1_780_000_000.0,
        "bot": "Cat",
        "level": "WARNING",
        "logger": "cat",
        "text": "the bowl is empty",
        "exchange": EXCHANGE,
    }
    return usual | changes


def state(**changes: Any) -> Json:
    usual: Json = {
        "version": "0.1.0",
        "mode": "bot",
        "title": "Cat",
        "poe_address": "http://127.0.0.1:8082/poe/secret",
        "bots": [bot(), bot("Dog", settings={"response_version": 2}, settings_findings=[finding(level="SHOULD")])],
        "default_bot": "Cat",
        "conversations": [conversation()],
        "exchanges": [
            exchange(
                "1", kind="settings", events=0, reads=1, response_size=30, findings={"MUST": 0, "SHOULD": 0, "MAY": 0}
            ),
            exchange(),
            exchange(
                "3",
                kind="call",
                bot="Dog",
                parent=EXCHANGE,
                direction="from-bot",
                findings={"MUST": 0, "SHOULD": 2, "MAY": 0},
            ),
        ],
        "exchanges_dropped": 0,
        "balance": 1_000_000,
        "charges": [
            {
                "bot_query_id": "q",
                "bot_name": "Cat",
                "amount_usd_milli_cents": 50,
                "items": [{"amount_usd_milli_cents": 50, "description": "fish"}],
                "message": "m-2",
            }
        ],
        "logs": [log()],
        "logs_dropped": 0,
        "faults": [{"number": 1, "where": "Dog", "kind": "status", "times": 1, "arguments": {"status": 503}}],
        "recordings": [],
        "remote_media": False,
    }
    return usual | changes


def messages() -> list[Json]:
    return [
        message("m-1", "What passes between us?", "user"),
        message(
            "m-2",
            ANSWER,
            suggested_replies=["Tell me more", "Stop"],
            reactions=["👍"],
            feedback="like",
            spent=50,
            first_event_ms=12.5,
            duration_ms=840.0,
        ),
    ]


def _items(query: Json, make: Any) -> list[Json]:
    first, limit = int(query["from"]), int(query["limit"])
    return [make(index) for index in range(first, min(300, first + limit))]


def _event(index: int) -> Json:
    data = '{"text": 7}' if index == 1 else f'{{"text": "word {index}"}}'
    return {
        "index": index,
        "event": "text",
        "data": data,
        "at_ms": index * 2.5,
        "gap_ms": 2.5,
        "offset": index * 40,
        "size": 40,
    }


def _read(index: int) -> Json:
    text = f'event: text\ndata: {{"text": "word {index}"}}\n\n'
    return {"index": index, "at_ms": index * 2.5, "gap_ms": 2.5, "offset": index * 40, "size": len(text), "text": text}


def _events(query: Json) -> Json:
    return {"events": _items(query, _event), "total": 300}


def _reads(query: Json) -> Json:
    return {"reads": _items(query, _read), "total": 300}


def detail() -> Json:
    request = {
        "headers": [["host", "127.0.0.1"], ["authorization", "Bearer ********************************"]],
        "body": {"size": 40, "text": '{"version":"1.2","type":"query"}'},
    }
    return exchange() | {
        "request": request,
        "response": {"headers": [["content-type", "text/event-stream"]]},
        "findings_list": [finding()],
        "log_list": [log()],
    }


def answers() -> dict[str, Any]:
    """The backend's answers about the conversation and the exchange."""
    others: dict[str, Any] = {}
    for number in ("1", "3", "4", "9"):
        others[f"GET /api/exchanges/{number}"] = detail() | {"id": number}
        others[f"GET /api/exchanges/{number}/events"] = _events
        others[f"GET /api/exchanges/{number}/reads"] = _reads
    return others | {
        f"GET /api/conversations/{CONVERSATION}": {"conversation": conversation(), "messages": messages()},
        f"GET /api/exchanges/{EXCHANGE}": detail(),
        f"GET /api/exchanges/{EXCHANGE}/events": _events,
        f"GET /api/exchanges/{EXCHANGE}/reads": _reads,
        f"GET /api/exchanges/{EXCHANGE}/times": {
            "times": [index * 2.5 + (40 if index > 200 else 0) for index in range(300)]
        },
        f"GET /api/exchanges/{EXCHANGE}/copy": {"text": "curl 'http://127.0.0.1:8080/'"},
        f"POST /api/conversations/{CONVERSATION}/messages": {"message": "m-3", "reply": "m-4"},
        f"POST /api/conversations/{CONVERSATION}/edit": {"message": "m-3", "reply": "m-4"},
        f"POST /api/conversations/{CONVERSATION}/retry": {"message": "m-1", "reply": "m-4"},
        f"POST /api/conversations/{CONVERSATION}/stop": {"done": True},
        f"POST /api/conversations/{CONVERSATION}/fork": conversation("c-2", title="Fork"),
        "GET /api/conversations/c-2": {"conversation": conversation("c-2"), "messages": messages()[:1]},
        "POST /api/messages/m-2/feedback": {"done": True},
        "POST /api/messages/m-2/reactions": {"done": True},
        f"POST /api/exchanges/{EXCHANGE}/resend": exchange("4", resent_from=EXCHANGE),
    }

"""The site's search answers the questions of newcomers, from a folder and without a network."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page

# Questions of newcomers, the words that they search for, the page that has the answer, and words of the answer.
QUESTIONS = [
    ("How do I write a first bot?", "first bot", "tutorial", "DiceBot"),
    ("How do I embed a bot in http.server?", "http.server", "howto/embed", "ThreadingHTTPServer"),
    ("Who calls heartbeat() in blocking code?", "heartbeat blocking", "howto/embed", "In blocking code"),
    ("Who answers GET?", "GET 405", "howto/embed", "Routing and GET"),
    ("Why is TCP_NODELAY needed?", "TCP_NODELAY", "howto/embed", "40 ms"),
    ("Can I change a request that I was given?", "values frozen", "explanation/compatibility", "attrs.evolve"),
    ("How do I write a client on requests?", "client requests", "howto/clients", "FlowDriver"),
    ("Which effects must a flow driver perform?", "flow effects driver", "howto/clients", "ReceiveData"),
    ("What do the fields of Limits mean?", "Limits answer_size", "reference/poeproto", "bytes that a reader keeps"),
    ("How do I build an SDK in another language?", "SDK language", "howto/another_language", "Half characters"),
    ("What are the vectors?", "vectors wire_base64", "reference/vectors", "How to cut"),
    ("How do I test a bot with pytest?", "pytest fixture", "testing", "poe_bot"),
    ("How do I run a bot without Poe?", "simulator", "simulator", "simulate"),
    ("How do I see what Poe sends?", "playground", "playground", "every exchange"),
    ("How do I check my bot?", "poeproto check", "checking", "poeproto check"),
    ("How do I record traffic?", "recording redacted", "recordings", "What is redacted"),
    ("How do I put nginx in front?", "nginx", "howto/reverse_proxy", "proxy_pass"),
    ("What happens at SIGTERM?", "SIGTERM", "explanation/stopping", "The steps"),
    ("How many workers?", "workers core", "howto/deploy", "Start one"),
    ("How do I move from fastapi_poe?", "fastapi_poe", "migrating", "Five minutes"),
    ("Which exception says that a reply is incomplete?", "IncompleteReply", "explanation/errors", "IncompleteReply"),
    ("When is a call retried?", "retry", "explanation/errors", "429 and 503"),
    ("How do I go through a proxy?", "HTTPS_PROXY", "howto/outgoing_proxy", "Call through a proxy"),
    ("Which fields has a message?", "message attachments field", "protocol", "referenced_message"),
    ("What is response_version?", "response_version", "protocol", "drops the parameter controls"),
    ("How do costs work?", "authorize capture cost", "protocol", "amount_usd_milli_cents"),
    ("How fast is it?", "performance relay", "performance", "fastapi_poe"),
    ("Does the client speak HTTP/2?", "HTTP/2 in the client", "performance", "speaks HTTP/1.1 only"),
    ("How do I serve ten thousand streams?", "10,000 streams", "howto/many_streams", "somaxconn"),
    ("What does the runtime do when a client disconnects?", "disconnect cancels bot", "runtime", "DISCONNECT"),
    ("Is an access key ever logged?", "access key log", "security", "What is hidden"),
    ("What may a bot yield?", "yield event", "howto/reply", "What a bot yields"),
    ("How does a bot call a model?", "call other bots", "howto/call_bots", "server_bot_dependencies"),
    ("How does a model call a function of mine?", "function calling", "howto/tools", "run_tools"),
    ("How do I send a file?", "send file post_attachment", "howto/send_files", "inline_reference"),
    ("How do I read a PDF that a user attached?", "fetch attachment PDF", "howto/read_files", "fetch_attachment"),
    ("How do I charge users?", "charge users", "howto/costs", "capture_cost"),
    ("How do I add a slider?", "slider parameter controls", "howto/parameter_controls", "Slider"),
    ("Why does Poe not see my new settings?", "settings sync", "howto/settings", "poeproto sync NAME"),
    ("How does a bot remember something?", "remember metadata", "howto/remember", "json.dumps"),
    ("How do I call a bot from a notebook?", "notebook blocking", "howto/scripts", "BlockingClient"),
    ("How do I install it, and what are the extras?", "install extras", "install", "names the extra"),
    ("How do I start one of the embedding programs?", "embedding run port", "howto/embed", "name a port"),
    ("What does opentelemetry-instrument take?", "opentelemetry-instrument", "observability", "bot.py:bot"),
    (
        "Which metrics are there for Prometheus?",
        "prometheus metrics",
        "observability",
        "poe_server_time_to_first_event_seconds",
    ),
    ("How do I run Locust?", "locust", "load", "PoeUser"),
    ("How do I put load on a bot from two machines?", "load machines merge", "load", "bench merge"),
    ("Why does a closed model hide a stall?", "coordinated omission", "load", "closed model"),
    ("How do I use a bot from OpenAI's client?", "openai serve", "openai", "/v1/chat/completions"),
    ("How do I run a local model as a bot?", "Ollama", "openai", "openai:http://localhost:11434/v1"),
    ("How do I replay what was recorded?", "replay", "recordings", "poeproto replay"),
    ("Can somebody else use my playground?", "playground token", "playground", "Who can use it"),
    ("How does it compare with sse-starlette?", "sse-starlette", "explanation/comparison", "What it does better"),
    ("Which Python versions are tested?", "tested Python versions", "explanation/compatibility", "3.13"),
    ("Are there WebSockets?", "WebSockets", "explanation/not_there", "the protocol has none"),
    ("Why does the core do no I/O?", "core no I/O", "explanation/sans_io", "What it buys"),
    ("Is there an SDK in JavaScript?", "JavaScript", "howto/another_language", "poe.mjs"),
    ("How do I run it under systemd?", "systemd", "howto/deploy", "ExecStart"),
    ("Which states has an exchange?", "states exchange", "states", "IDLE"),
    ("Which exit codes has the check?", "check exit code", "checking", "stale entry of the baseline"),
    ("Where does the number of a limit come from?", "limits number from", "explanation/limits", "From proxies"),
    ("What happens when a client reads slowly?", "client reads slowly", "explanation/streaming", "write_buffer"),
    ("Why msgspec and not orjson?", "msgspec orjson", "explanation/decisions", "the other way"),
]


@pytest.mark.parametrize(("question", "words", "page_name", "answer"), QUESTIONS, ids=[each[0] for each in QUESTIONS])
def test_a_question(site_page: Page, question: str, words: str, page_name: str, answer: str) -> None:
    site_page.get_by_placeholder("Search").first.fill(words)
    site_page.keyboard.press("Enter")
    site_page.locator("#search-results .search-summary, #search-results p").first.wait_for()
    site_page.wait_for_function("!document.querySelector('#search-results h2').textContent.includes('Searching')")
    site_page.locator(f'#search-results li a[href*="{page_name}.html"]').first.wait_for()
    found = site_page.locator("#search-results li").evaluate_all("items => items.map(item => item.innerHTML)")
    ranks = [rank for rank, html in enumerate(found) if f"{page_name}.html" in html]
    assert ranks[0] < 10, [html[:100] for html in found[:10]]
    with site_page.expect_navigation():  # until the whole page is loaded
        site_page.locator(f'#search-results li a[href*="{page_name}.html"]').first.click()
    assert answer in site_page.locator("article").inner_text()

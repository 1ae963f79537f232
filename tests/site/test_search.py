"""The site's search answers the questions of newcomers, from a folder and without a network."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page

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
    ("What do the fields of Limits mean?", "Limits answer_size", "explanation/limits", "answer_size"),
    ("How do I build an SDK in another language?", "SDK language", "howto/another_language", "Half characters"),
    ("What are the vectors?", "vectors wire_base64", "reference/vectors", "How to cut"),
    ("How do I test a bot with pytest?", "pytest fixture", "testing", "poe_bot"),
    ("How do I run a bot without Poe?", "simulator", "simulator", "simulate"),
    ("How do I see what Poe sends?", "playground", "playground", "every exchange"),
    ("How do I check my bot?", "poeproto check", "checking", "poeproto check"),
    ("How do I record traffic?", "record traffic", "howto/record", "poeproto record"),
    ("How do I put nginx in front?", "nginx", "howto/reverse_proxy", "proxy_pass"),
    ("What happens at SIGTERM?", "SIGTERM", "explanation/stopping", "The steps"),
    ("How many workers?", "workers core", "howto/deploy", "Start one"),
    ("How do I move from fastapi_poe?", "fastapi_poe", "migrating", "Five minutes"),
    ("Which exception says that a reply is incomplete?", "IncompleteReply", "explanation/errors", "IncompleteReply"),
    ("When is a call retried?", "retry", "explanation/errors", "429 and 503"),
    ("How do I go through a proxy?", "HTTPS_PROXY", "howto/outgoing_proxy", "Call through a proxy"),
    ("Which fields has a message?", "message attachments field", "protocol", "referenced_message"),
    ("What is response_version?", "response_version", "protocol", "drops the parameter controls"),
    ("How do costs work?", "authorize capture cost", "howto/costs", "capture_cost"),
    ("How fast is it?", "performance relay", "performance", "fastapi_poe"),
    ("Does the client speak HTTP/2?", "HTTP/2 in the client", "explanation/fast", "speaks HTTP/1.1 only"),
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
    ("What does opentelemetry-instrument take?", "opentelemetry-instrument", "howto/observe", "bot.py:bot"),
    (
        "Which metrics are there for Prometheus?",
        "prometheus metrics",
        "observability",
        "poe_server_time_to_first_event_seconds",
    ),
    ("How do I benchmark my bot?", "benchmark bot", "howto/benchmark", "poeproto bench"),
    ("What is faster than poeproto?", "faster aiohttp", "performance", "Where others are faster"),
    ("Why does a load test come in waves?", "waves ramp", "load", "Waves"),
    ("How do I see traces and metrics?", "traces metrics logs", "howto/observe", "OTEL_TRACES_EXPORTER"),
    ("How do I run Locust?", "locust", "howto/load_test", "PoeUser"),
    ("How do I put load on a bot from two machines?", "load machines merge", "howto/load_test", "bench merge"),
    ("Why does a closed model hide a stall?", "coordinated omission", "load", "closed model"),
    ("How do I use a bot from OpenAI's client?", "openai serve", "howto/openai_clients", "/v1/chat/completions"),
    ("How do I run a local model as a bot?", "Ollama", "howto/openai_models", "openai:http://localhost:11434/v1"),
    ("How do I replay what was recorded?", "replay", "howto/record", "poeproto replay"),
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
    ("Why does Poe get a 422?", "422", "howto/troubleshoot", "not poeproto, which answers 400"),
    ("Why does GET return HTML?", "GET html", "howto/troubleshoot", "A Poe bot answers here"),
    ("How do I debug a slow or silent bot?", "debug slow silent bot", "howto/troubleshoot", "curl -N"),
    ("Why does curl show no output?", "curl no output", "howto/troubleshoot", "buffers without -N"),
    ("Why does my bot reply twice?", "bot replies twice", "howto/troubleshoot", "The same text twice"),
    ("Which error_type values are there?", "error_type values", "howto/troubleshoot", "user_caused_error"),
    ("How do I use a public tunnel while developing?", "public tunnel", "howto/tunnel", "ngrok http 8080"),
    ("How do I use LangChain with a bot?", "langchain bot", "howto/openai_models", "astream"),
    ("Can LangChain call a bot?", "LangChain", "howto/openai_clients", "ChatOpenAI"),
    ("Why msgspec and not orjson?", "msgspec orjson", "explanation/decisions", "the other way"),
]


# What people type who know neither our words nor the protocol's, pages that have the answer, and words of the answer.
NEWCOMERS = [
    ("bot times out after 600 seconds", ["howto/troubleshoot", "explanation/limits", "protocol"], "3,600"),
    ("how do I get user id", ["protocol", "reference/poeproto", "howto/company", "howto/remember"], "user_id"),
    ("charge per message", ["howto/costs"], "capture_cost"),
    ("run behind nginx buffering", ["howto/reverse_proxy"], "X-Accel-Buffering"),
    ("how to cancel when user presses stop", ["howto/reply"], "When the user stops the reply"),
    ("send image", ["howto/rich_text", "howto/send_files"], "image"),
    ("event waits 40 ms Nagle", ["howto/embed"], "TCP_NODELAY"),
    ("who calls heartbeat from blocking code", ["howto/embed"], "heartbeat"),
    (
        "FrozenInstanceError can't set attribute",
        ["howto/call_bots", "explanation/compatibility", "howto/reply"],
        "attrs.evolve",
    ),
    ("allow_retry", ["protocol", "explanation/errors", "reference/poeproto"], "allow_retry"),
    ("exceeded rate limit try again later", ["explanation/errors"], "429"),
    ("bot not in server_bot_dependencies", ["howto/call_bots"], "server_bot_dependencies"),
    ("get_bot_response", ["howto/scripts", "migrating", "guides", "reference/poeproto_compat"], "get_bot_response"),
    ("get text of uploaded pdf", ["howto/read_files"], "PDF"),
    ("add system prompt", ["howto/call_bots"], "system"),
    ("change temperature of the model", ["howto/call_bots"], "temperature"),
    ("PartialResponse", ["migrating", "reference/poeproto_compat", "fastapi_poe_behaviour"], "PartialResponse"),
    ("is_replace_response", ["migrating", "guides", "howto/native_names"], "is_replace_response"),
    ("poe still uses old settings", ["howto/settings"], "sync"),
    ("deploy to AWS lambda", ["howto/serverless"], "A function for each request"),
    ("use with Django", ["howto/embed"], "Django"),
    ("run blocking code in a thread", ["howto/reply", "explanation/disconnects"], "to_thread"),
    ("time.sleep blocks everything", ["howto/reply", "explanation/disconnects"], "time.sleep"),
    ("not enough points insufficient funds", ["howto/costs"], "InsufficientFunds"),
    ("save data per conversation in a database", ["howto/remember"], "database"),
    ("access key environment variable", ["howto/deploy", "security"], "POE_ACCESS_KEY"),
    ("test my bot locally without an account", ["simulator", "testing", "tutorial", "playground"], "simulat"),
    ("ngrok tunnel to my laptop", ["howto/tunnel"], "public https address"),
    ("show progress while thinking", ["howto/reply"], "progress"),
    ("message too long", ["protocol"], "user_message_too_long"),
    ("maximum file size", ["howto/send_files", "protocol", "howto/read_files"], "MB"),
    ("docker image", ["howto/deploy"], "docker run"),
    ("kubernetes health check", ["howto/deploy", "howto/reverse_proxy"], "Health check"),
    ("gunicorn workers", ["howto/deploy", "howto/asgi_servers"], "--workers"),
    ("memory per connection", ["performance", "howto/many_streams"], "KiB"),
    ("play mp3", ["howto/send_files"], "Audio and video"),
    ("buttons under the reply", ["howto/reply"], "SuggestedReply"),
    ("thumbs up", ["protocol", "howto/reply", "reference/poeproto.reactions"], "eaction"),
    ("401 unauthorized", ["security", "checks", "howto/embed", "howto/deploy", "protocol"], "401"),
    ("json.decoder.JSONDecodeError invalid unicode surrogate", ["json"], "Half characters"),
    ("mount on existing fastapi app", ["howto/embed"], "BotApp"),
    ("log every request", ["howto/hooks", "observability"], "on_start"),
    ("unit test pytest mock poe", ["testing"], "poe_bot"),
    ("fp.stream_request", ["migrating", "guides", "reference/poeproto_compat"], "stream_request"),
    ("asyncio.run() cannot be called from a running event loop", ["howto/scripts"], "notebook"),
    ("dropdown menu for user options", ["howto/parameter_controls"], "DropDown"),
    ("two models answer side by side", ["howto/call_bots"], "index"),
    ("welcome message", ["howto/settings"], "introduction_message"),
    ("use ChatGPT api key instead of poe", ["openai"], "OpenAIBot"),
    ("dall-e generated picture in reply", ["howto/rich_text", "howto/send_files"], "image"),
    ("group chat who said what", ["howto/company"], "sender"),
    ("uvicorn multiple workers", ["howto/deploy", "howto/asgi_servers"], "workers"),
    ("RuntimeError: Event loop is closed", ["runtime", "howto/scripts", "testing"], "event loop"),
    ("upload file larger than 50MB", ["howto/send_files", "protocol"], "50"),
    (
        "how to get conversation history",
        ["protocol", "howto/call_bots", "reference/poeproto.conversation", "howto/reply"],
        "query",
    ),
    ("bot receives images from user", ["howto/read_files"], "attach"),
    ("ssl certificate https", ["howto/deploy", "howto/reverse_proxy", "tutorial", "security"], "certificate"),
    ("modal deploy", ["howto/serverless"], "modal"),
    ("google colab", ["howto/scripts"], "notebook"),
    ("catch exceptions from called bot", ["howto/call_bots", "explanation/errors"], "except"),
    ("set bot description and avatar", ["howto/settings", "protocol"], "introduction"),
    ("verify request comes from poe", ["security", "howto/embed"], "key"),
    ("create a prompt bot link", ["howto/rich_text"], "create_bot_url"),
    (
        "get_final_response",
        ["howto/call_bots", "howto/scripts", "migrating", "reference/poeproto_compat", "guides"],
        "final",
    ),
    ("insert_attachment_messages", ["migrating", "howto/read_files", "guides"], "attach"),
    ("422 from Poe", ["howto/troubleshoot"], "422"),
    ("422 Unprocessable Entity", ["howto/troubleshoot"], "422"),
    ("stream hangs", ["howto/troubleshoot"], "curl -N"),
    ("no output with curl", ["howto/troubleshoot"], "curl -N"),
    ("bot is replying twice", ["howto/troubleshoot"], "The bot answers twice"),
    ("GET returns html", ["howto/troubleshoot"], "health check"),
    ("what does GET do", ["howto/troubleshoot", "howto/embed"], "GET"),
    ("ngrok", ["howto/tunnel"], "ngrok http 8080"),
    ("langchain", ["howto/openai_clients", "howto/openai_models"], "ChatOpenAI"),
    ("llamaindex agent in a bot", ["howto/openai_models"], "astream"),
    ("bot times out after 60 seconds", ["howto/troubleshoot"], "send_seconds"),
    ("error_type values and what users see", ["howto/troubleshoot"], "an offer to buy points"),
    ("how do I stop when the user presses stop", ["howto/reply"], "When the user stops the reply"),
    ("something went wrong in this bot error id", ["howto/troubleshoot", "howto/reply"], "error id"),
    ("address already in use", ["howto/troubleshoot"], "--bind"),
    ("message feedback webhook", ["protocol", "reference/poeproto"], "report_feedback"),
    ("systemctl restart drops connections", ["howto/deploy", "explanation/stopping"], "systemd"),
    ("cloudflare 524 timeout", ["howto/reverse_proxy"], "proxy"),
    ("text replaced after streaming", ["howto/reply", "migrating"], "ReplaceResponse"),
    ("load testing 1000 users", ["load"], "users"),
    ("grafana dashboard", ["howto/observe"], "dashboard"),
    ("type hints mypy strict", ["explanation/compatibility", "contributing", "explanation/comparison"], "type"),
    ("async vs sync client", ["howto/scripts", "reference/poeproto_h11"], "BlockingClient"),
    ("rust sdk", ["howto/another_language"], "vectors"),
    ("why not pydantic", ["explanation/sans_io", "explanation/comparison"], "attrs"),
    ("replay a failed conversation", ["howto/record"], "replay"),
    ("debug what my bot sends", ["playground"], "event"),
    ("max tokens logit_bias stop_sequences", ["protocol", "howto/call_bots"], "logit_bias"),
    (
        "rate limit my users",
        ["security", "howto/remember", "explanation/not_there", "howto/costs", "howto/deploy"],
        "limit",
    ),
]


# Seventy questions were put blindly, without the words that the search knows. It answered 57 of them as questions and
# 56 as words; these are those that it answers now.
BLIND = [
    ("Does it work on Windows?", "windows support", ["embedded_server", "install"]),
    ("Which Python versions are supported?", "python version", ["explanation/compatibility", "install"]),
    ("How do I show an error to the user instead of crashing?", "show error user", ["howto/reply"]),
    ("What happens when the user clicks the stop button?", "stop button", ["howto/reply"]),
    (
        "How do I find out who the user is?",
        "user id",
        ["protocol", "reference/poeproto", "howto/company", "howto/remember"],
    ),
    ("Can my bot offer buttons to click?", "buttons", ["howto/reply"]),
    ("Why does my bot answer 401?", "401 unauthorized", ["security", "checks", "howto/embed"]),
    ("Can I run my bot on AWS Lambda?", "aws lambda", ["howto/serverless"]),
    ("How do I call GPT-4 from my bot?", "call gpt-4", ["howto/call_bots"]),
    (
        "The conversation is too long for my model, how do I shorten it?",
        "shorten history",
        ["howto/call_bots", "reference/poeproto.conversation"],
    ),
    ("How do I earn money with my bot?", "monetize", ["howto/costs"]),
    ("How do I read a PDF that the user uploaded?", "pdf upload", ["howto/read_files"]),
    ("How do I send a picture in a reply?", "image reply", ["howto/rich_text", "howto/send_files"]),
    ("How do I run my bot in Docker?", "dockerfile", ["howto/deploy"]),
    (
        "Why does the whole reply arrive at once instead of streaming?",
        "buffering not streaming",
        ["howto/reverse_proxy"],
    ),
    ("How do I store something between two messages?", "database state", ["howto/remember"]),
    ("How do I write logs as JSON?", "json logs", ["howto/observe"]),
    ("How do I export metrics to Prometheus?", "prometheus metrics", ["howto/observe", "observability"]),
    ("How do I change the welcome message?", "welcome message", ["howto/settings"]),
    (
        "Is it faster than fastapi_poe?",
        "faster fastapi_poe",
        ["performance", "explanation/comparison", "explanation/fast"],
    ),
    ("How do I use the openai package with a Poe bot?", "openai python base_url", ["howto/openai_clients"]),
    ("How do I overwrite text that I have already sent?", "replace_response", ["howto/reply"]),
    ("Where do I get an access key?", "get access key", ["tutorial", "howto/deploy"]),
    (
        "Does the package have type hints?",
        "mypy types",
        ["explanation/compatibility", "contributing", "install", "explanation/comparison"],
    ),
    (
        "What does my code see when the client disconnects?",
        "client disconnect",
        ["explanation/disconnects", "howto/reply", "runtime"],
    ),
    (
        "Can I call blocking code in a bot?",
        "blocking code thread",
        ["howto/reply", "howto/deploy", "explanation/disconnects"],
    ),
    ("How do I set a timeout for a call to another bot?", "timeout call", ["howto/call_bots", "howto/hooks"]),
    ("Does it support websockets?", "websocket", ["explanation/not_there"]),
    ("How do I run the project's tests?", "run tests contribute", ["contributing"]),
    ("Can I put my bot into a Flask or Django project?", "flask django", ["howto/embed"]),
    ("How large may an uploaded file be?", "file too big", ["howto/send_files", "explanation/limits", "protocol"]),
    (
        "How do I learn that a user gave a thumbs down?",
        "thumbs up feedback",
        ["protocol", "howto/reply", "reference/poeproto.reactions"],
    ),
    ("Can I serve several bots on one port?", "multiple bots one server", ["howto/several_bots"]),
    ("How do I let the model call my Python function?", "tool calling", ["howto/tools"]),
    (
        "Where is the JSON schema of a request?",
        "json schema request",
        ["protocol", "reference/poeproto.schemas", "howto/another_language"],
    ),
    ("How do I write a health check for Kubernetes?", "readiness probe", ["howto/deploy", "howto/reverse_proxy"]),
    ("I changed my settings and Poe does not notice, why?", "settings not updated", ["howto/settings"]),
    ("How do I know that a request really comes from Poe?", "verify authentic request", ["security"]),
    (
        "What does it depend on?",
        "dependencies",
        ["install", "explanation/compatibility", "explanation/comparison", "reference/packages"],
    ),
    (
        "Can I use uvloop?",
        "uvloop",
        ["howto/asgi_servers", "howto/deploy", "install", "performance", "howto/many_streams"],
    ),
    ("How do I test my bot without the network?", "mock poe test", ["testing", "simulator"]),
    ("How do I parse the events in Go?", "golang", ["howto/another_language"]),
    (
        "What should I do when I get too many requests?",
        "429 too many requests",
        ["explanation/errors", "howto/call_bots"],
    ),
    ("How much memory does an open connection need?", "memory per connection", ["performance", "howto/many_streams"]),
    (
        "How do I send the answer token by token?",
        "stream tokens yield",
        ["howto/reply", "howto/openai_models", "tutorial"],
    ),
    ("How do I trace requests with OpenTelemetry?", "opentelemetry tracing", ["howto/observe", "observability"]),
    ("What is the meta event for?", "meta event", ["protocol", "howto/reply"]),
    ("How do I debug a crash in production?", "traceback production", ["howto/observe"]),
    ("Can I use it with Quart?", "quart", ["howto/embed"]),
    ("What is the maximum length of a reply?", "max reply length", ["explanation/limits", "protocol"]),
    ("How do I put a chart into a reply?", "chart graph", ["howto/rich_text", "howto/send_files"]),
    (
        "How do I validate the JSON that a client sends?",
        "json validation",
        ["json", "reference/poeproto.schemas", "protocol"],
    ),
    ("How do I keep private messages out of the logs?", "privacy logs", ["security", "howto/observe"]),
    ("Can I remember users in SQLite?", "sqlite", ["howto/remember", "howto/deploy"]),
    ("How do I report a security hole?", "report vulnerability", ["security"]),
    ("How do I use it in GitHub Actions?", "github actions", ["checking"]),
    ("Why is my event loop blocked?", "event loop blocked", ["howto/deploy", "howto/reply", "runtime"]),
    ("Does a call retry with backoff?", "exponential backoff", ["explanation/errors", "howto/call_bots"]),
    ("How do I write a bot without async?", "sync bot", ["howto/embed", "howto/scripts", "howto/reply"]),
    ("Can I bind to a Unix socket?", "unix socket", ["howto/reverse_proxy", "howto/deploy"]),
]


@pytest.fixture(scope="module")
def results(site_context: BrowserContext, site: Path) -> Iterator[Page]:
    """The page of results, which shows those of what is typed at once."""
    page = site_context.new_page()
    page.goto((site / "search.html").as_uri())
    yield page
    page.close()


def found_pages(results: Page, query: str) -> list[str]:
    results.get_by_label("Search all pages").fill(query)
    links: list[str] = results.locator("#search-results h2 a").evaluate_all(
        "links => links.map(link => link.getAttribute('href'))"
    )
    return [re.sub(r"^\./|\.html.*", "", link) for link in links]


def text_of(site: Path, page_name: str) -> str:
    article = (
        (site / f"{page_name}.html").read_text(encoding="utf-8").partition("<article")[2].partition("</article>")[0]
    )
    return unescape(re.sub(r"<[^>]+>", "", article))


@pytest.mark.parametrize(("question", "words", "page_name", "answer"), QUESTIONS, ids=[each[0] for each in QUESTIONS])
def test_a_question(results: Page, site: Path, question: str, words: str, page_name: str, answer: str) -> None:
    for query in (question, words):
        assert page_name in found_pages(results, query)[:3], query
    assert answer in text_of(site, page_name)


@pytest.mark.parametrize(("query", "page_names", "answer"), NEWCOMERS, ids=[each[0] for each in NEWCOMERS])
def test_what_newcomers_type(results: Page, site: Path, query: str, page_names: list[str], answer: str) -> None:
    answering = [name for name in found_pages(results, query)[:3] if name in page_names]
    assert any(answer in text_of(site, name) for name in answering), found_pages(results, query)


@pytest.mark.parametrize(("question", "words", "page_names"), BLIND, ids=[each[0] for each in BLIND])
def test_what_was_asked_blindly(results: Page, question: str, words: str, page_names: list[str]) -> None:
    for query in (question, words):
        assert set(page_names) & set(found_pages(results, query)[:3]), query


def test_a_search_from_any_page_leads_to_the_section(site_page: Page, site: Path) -> None:
    site_page.goto((site / "howto" / "costs.html").as_uri())
    site_page.get_by_placeholder("Search").first.fill("nginx buffering")
    site_page.keyboard.press("Enter")
    site_page.locator("#search-results").get_by_role("link", name="nginx", exact=True).click()
    assert site_page.url.endswith("howto/reverse_proxy.html#nginx")
    site_page.locator("#nginx").get_by_role("heading").first.wait_for()


def test_results_change_while_one_types(results: Page) -> None:
    results.get_by_label("Search all pages").fill("")
    assert results.locator("#search-results > li").count() == 0
    assert "tutorial" in found_pages(results, "first bo")
    assert results.url.endswith("?q=first+bo")
    assert found_pages(results, "zzqx") == []
    assert "No page has these words" in results.get_by_role("status").inner_text()


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("SettingsResponse", "poeproto.SettingsResponse"),
        ("QueryRequest.user_id", "poeproto.QueryRequest"),
        ("poeproto.flows.query_flow", "poeproto.flows.query_flow"),
        ("post_attachment()", "poeproto.Context.post_attachment"),
    ],
)
def test_a_public_name_is_found_at_once(results: Page, query: str, first: str) -> None:
    found_pages(results, query)
    links = results.locator("#search-results li").first.get_by_role("link").all_inner_texts()
    assert first in links


def test_misspelt_words_and_beginnings_are_found(results: Page) -> None:
    assert "simulator" in found_pages(results, "simulater")[:3]
    assert "howto/parameter_controls" in found_pages(results, "paramter controls")[:3]


def test_every_result_has_its_place(results: Page, site: Path) -> None:
    index: dict[str, Any] = results.evaluate("({pages: index.pages, parts: index.parts})")
    assert len(index["parts"]) > 1000
    texts: dict[str, str] = {name: (site / f"{name}.html").read_text(encoding="utf-8") for name, *_ in index["pages"]}
    assert [
        f"{index['pages'][page][0]}#{anchor}"
        for page, anchor, *_ in index["parts"]
        if anchor and f'id="{anchor}"' not in texts[index["pages"][page][0]]
    ] == []

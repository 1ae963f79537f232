"""The inspector, driven in Chromium against a mock of the backend."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from . import states
from .mock_backend import MockBackend, serving, wait_until
from .states import EXCHANGE

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


def select(page: Page) -> None:
    page.get_by_role("option", name="query").click()
    page.get_by_role("region", name=f"Exchange {EXCHANGE}").wait_for()


def test_events_are_a_virtual_list_with_the_findings_in_place(page: Page, backend: MockBackend) -> None:
    select(page)
    events = page.get_by_role("listbox", name="Events: 300")
    events.get_by_role("option").first.wait_for()
    assert events.get_by_role("option").count() < 40
    marked = events.get_by_role("option", name="MUST")
    marked.click()
    page.get_by_text("event 1: text · offset 40").wait_for()
    page.get_by_text("a number; a string was expected").wait_for()
    events.press("End")
    page.get_by_text("event 299: text").wait_for()
    page.get_by_role("region", name="Data of the event").get_by_text("word 299").wait_for()


def test_a_finding_leads_to_its_event_and_its_section(page: Page) -> None:
    select(page)
    page.get_by_role("tab", name="Findings").click()
    page.get_by_text("event.field-types").click()
    link = page.get_by_role("link", name="Server-sent events: text")
    assert link.get_attribute("href") == "https://creator.poe.com/docs/server-bots/poe-protocol-specification"
    page.get_by_role("button", name="Go to event 1").click()
    page.get_by_text("event 1: text · offset 40").wait_for()


def test_raw_reads_in_hexadecimal_and_text(page: Page) -> None:
    select(page)
    page.get_by_role("tab", name="Raw").click()
    dump = page.get_by_role("region", name="The read in hexadecimal")
    dump.get_by_text("00000000  65 76 65 6e 74 3a 20 74  ").or_(dump.get_by_text("00000000  65 76 65 6e")).wait_for()
    page.get_by_role("button", name="Hex").click()
    page.get_by_role("region", name="The read as text").get_by_text("event: text").wait_for()


def test_headers_copy_and_export(page: Page, backend: MockBackend) -> None:
    select(page)
    page.get_by_role("tab", name="Request", exact=True).click()
    page.get_by_role("table", name="Headers of the request").get_by_text("Bearer ****").wait_for()
    page.get_by_role("button", name="Copy as curl").click()
    assert backend.next_call("GET", f"/api/exchanges/{EXCHANGE}/copy").query == {"as": "curl", "secrets": "0"}
    page.get_by_role("status").get_by_text("Copied as curl.").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == "curl 'http://127.0.0.1:8080/'"
    backend.answers["GET /api/export"] = {"poeproto_recording": 1}
    with page.expect_download() as download:
        page.get_by_role("button", name="Export recording").click()
    assert download.value.suggested_filename == "playground.jsonl"


def test_a_request_is_edited_and_sent_again(page: Page, backend: MockBackend) -> None:
    select(page)
    page.get_by_role("tab", name="Edit", exact=True).click()
    page.get_by_label("Body", exact=True).fill('{"type": "query"')
    page.get_by_text("Not JSON, sent as it is").wait_for()
    page.get_by_role("region", name="Exchange 2").get_by_role("button", name="Send", exact=True).click()
    assert backend.next_call("POST", f"/api/exchanges/{EXCHANGE}/resend").json == {"body": '{"type": "query"'}
    page.get_by_role("region", name="Exchange 4").wait_for()


def test_a_body_over_100_kb_waits_behind_a_button(page: Page, backend: MockBackend) -> None:
    body = "x" * 300_000
    backend.answers[f"GET /api/exchanges/{EXCHANGE}"] = states.detail() | {
        "request": {"headers": [], "body": {"size": len(body), "text": body}}
    }
    select(page)
    page.get_by_role("tab", name="Request", exact=True).click()
    show = page.get_by_role("button", name="Show 300.0 kB")
    show.wait_for()
    assert page.get_by_role("region", name="Body of the request").count() == 0
    show.click()
    page.get_by_role("region", name="Body of the request").wait_for()


def test_times_are_plotted(page: Page) -> None:
    select(page)
    page.get_by_role("tab", name="Times").click()
    page.get_by_text("42.5 ms").or_(page.get_by_text("43 ms")).first.wait_for()
    assert page.locator(".timing canvas").count() == 2


def test_faults_balance_reports_and_requests(page: Page, backend: MockBackend) -> None:
    backend.answers |= {"POST /api/faults": {"number": 2}, "POST /api/balance": {"done": True}}
    backend.answers |= {"POST /api/bots/Cat/errors": {"done": True}, "POST /api/requests": states.exchange("9")}
    page.get_by_role("tab", name="Poe").click()
    page.get_by_label("Kind").select_option("slow")
    page.get_by_label("seconds").fill("2.5")
    page.get_by_role("button", name="Plan").click()
    sent = backend.next_call("POST", "/api/faults").json
    assert sent == {"where": "Cat", "kind": "slow", "times": 1, "seconds": 2.5}
    page.get_by_label("New balance in dollars").fill("1.5")
    page.get_by_role("button", name="Set").click()
    assert backend.next_call("POST", "/api/balance").json == {"balance": 150_000}

    page.get_by_role("tab", name="Bots").click()
    cat = page.get_by_role("region", name="Cat", exact=True)
    cat.get_by_label("Report an error to the bot").fill("broken")
    cat.get_by_role("button", name="Send report_error").click()
    assert backend.next_call("POST", "/api/bots/Cat/errors").json == {"message": "broken"}

    page.get_by_role("tab", name="Request editor").click()
    page.get_by_role("button", name="report_reaction").click()
    page.get_by_role("region", name="Inspector").get_by_role("button", name="Send", exact=True).click()
    sent = backend.next_call("POST", "/api/requests").json
    assert sent["bot"] == "Cat"
    assert '"report_reaction"' in sent["body"]


def test_a_recording_is_opened(page: Page, backend: MockBackend) -> None:
    backend.answers["POST /api/recordings"] = {"id": "r1", "name": "bot.jsonl", "exchanges": 1, "is_cut": False}
    page.get_by_label("Recording to open").set_input_files(
        {"name": "bot.jsonl", "mimeType": "application/json", "buffer": b"{}"}
    )
    assert backend.next_call("POST", "/api/recordings").query == {"name": "bot.jsonl"}
    opened = states.exchange("r1-1", source="r1")
    for part in ("", "/events", "/reads"):
        backend.answers[f"GET /api/exchanges/r1-1{part}"] = backend.answers[f"GET /api/exchanges/{EXCHANGE}{part}"]
    backend.push(
        {"type": "recordings", "recordings": [backend.answers["POST /api/recordings"]]},
        {"type": "exchanges", "exchanges": [opened], "exchanges_dropped": 3},
    )
    page.get_by_text("3 older exchanges dropped").wait_for()
    page.get_by_role("region", name="Exchange r1-1").wait_for()


@pytest.mark.parametrize("with_key", [False, True])
def test_each_copy_is_requested_and_put_on_the_clipboard(page: Page, backend: MockBackend, with_key: bool) -> None:
    backend.answers[f"GET /api/exchanges/{EXCHANGE}/copy"] = lambda query: {"text": f"the text as {query['as']}"}
    select(page)
    page.get_by_label("with key").set_checked(with_key)
    for name in ("curl", "Python", "pytest"):
        page.get_by_role("button", name=f"Copy as {name}").click()
        query = backend.next_call("GET", f"/api/exchanges/{EXCHANGE}/copy").query
        assert query == {"as": name.lower(), "secrets": str(int(with_key))}
        page.get_by_role("status").get_by_text(f"Copied as {name.lower()}.").wait_for()
        assert page.evaluate("navigator.clipboard.readText()") == f"the text as {name.lower()}"


@pytest.mark.parametrize(
    ("button", "format", "exchanges", "file"),
    [
        ("Export recording", "recording", "2", "playground.jsonl"),
        ("Export HAR", "har", "2", "playground.har"),
        ("Export all as a recording", "recording", "1,2", "playground.jsonl"),
        ("Export all as HAR", "har", "1,2", "playground.har"),
    ],
)
def test_each_export_saves_a_file(
    page: Page, backend: MockBackend, button: str, format: str, exchanges: str, file: str
) -> None:
    backend.answers["GET /api/export"] = {"exported": True}
    select(page)
    page.get_by_label("Filter the exchanges").fill("nothing")
    page.get_by_text("No exchange matches the filter.").wait_for()
    page.get_by_label("Filter the exchanges").fill("cat")
    page.get_by_role("option", name="settings").wait_for()
    with page.expect_download() as download:
        page.get_by_role("button", name=button).click()
    assert download.value.suggested_filename == file
    assert json.loads(download.value.path().read_text()) == {"exported": True}
    assert backend.next_call("GET", "/api/export").query == {"format": format, "exchanges": exchanges}


def test_findings_are_marked_in_place_with_their_section(page: Page, backend: MockBackend) -> None:
    request = states.finding(side="request", path="query[0].role", event=None, offset=None, section="Requests: query")
    backend.answers[f"GET /api/exchanges/{EXCHANGE}"] = states.detail() | {"findings_list": [request, states.finding()]}
    select(page)
    page.get_by_role("tab", name="Request", exact=True).click()
    here = page.get_by_role("list", name="Findings about the request")
    here.get_by_text("query[0].role").wait_for()
    here.get_by_role("link", name="Requests: query").wait_for()
    page.get_by_role("tab", name="Raw").click()
    reads = page.get_by_role("listbox", name="Reads")
    reads.get_by_role("option", name="word 1").first.click()
    page.get_by_role("link", name="Server-sent events: text").wait_for()


def test_the_body_of_a_response_as_text_and_hexadecimal(page: Page, backend: MockBackend) -> None:
    backend.answers["GET /api/exchanges/1"] = states.detail() | states.exchange("1", events=0, response_size=9)
    backend.answers["GET /api/exchanges/1/body"] = {"meow": 1}
    page.get_by_role("option", name="settings").click()
    page.get_by_role("tab", name="Request", exact=True).click()
    body = page.get_by_role("region", name="Body of the response")
    body.get_by_text('"meow": 1').wait_for()
    page.get_by_role("button", name="Hex").last.click()
    body.get_by_text("00000000  7b 22 6d 65 6f 77").wait_for()
    with page.expect_download() as download:
        page.get_by_role("button", name="Save the bytes").last.click()
    assert json.loads(download.value.path().read_text()) == {"meow": 1}


def test_the_times_of_a_reply_under_way_are_plotted_live(page: Page, backend: MockBackend) -> None:
    times = [0.0, 5.0]
    backend.answers[f"GET /api/exchanges/{EXCHANGE}/times"] = lambda query: {"times": times}
    backend.push({"type": "exchange", "exchange": states.exchange(outcome=None, duration_ms=None)})
    select(page)
    page.get_by_role("tab", name="Times").click()
    figures = page.locator(".timing .figures")
    figures.get_by_text("5.0 ms").first.wait_for()
    painted = """() => {
        const canvas = document.querySelectorAll(".timing canvas")[1];
        const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
        let accent = 0;
        for (let i = 0; i < pixels.length; i += 4) accent += pixels[i + 2] > pixels[i + 1] + 60 && pixels[i + 3] > 200;
        return accent;
    }"""
    wait_until(page, f"() => ({painted})() > 0")
    times.extend([10.0, 100.0])
    figures.get_by_text("90 ms").first.wait_for()


def test_bots_are_fetched_reloaded_and_added(page: Page, backend: MockBackend) -> None:
    added = states.bot("Cow", kind="url", target=None, url="http://127.0.0.1:9/", settings=None, settings_error="down")
    backend.answers |= {"POST /api/bots/Cat/settings": states.bot(generation=2), "POST /api/bots": added}
    backend.answers |= {"POST /api/bots/Cat/reload": states.bot(generation=3)}
    page.get_by_role("tab", name="Bots").click()
    cat = page.get_by_role("region", name="Cat", exact=True)
    cat.get_by_role("button", name="Fetch settings").click()
    cat.get_by_text("version 2").wait_for()
    cat.get_by_role("button", name="Reload").click()
    cat.get_by_text("version 3").wait_for()
    cat.get_by_text("Settings", exact=True).click()
    cat.get_by_role("region", name="Settings of Cat").get_by_text('"allow_attachments": true').wait_for()
    dog = page.get_by_role("region", name="Dog", exact=True)
    dog.get_by_text("a number; a string was expected").wait_for()

    form = page.get_by_role("form", name="Add a bot")
    form.get_by_label("Name").fill("Cow")
    form.get_by_label("URL").fill("http://127.0.0.1:9/")
    form.get_by_label("Access key").fill("k" * 32)
    form.get_by_role("button", name="Add").click()
    sent = backend.next_call("POST", "/api/bots").json
    assert sent == {"name": "Cow", "url": "http://127.0.0.1:9/", "access_key": "k" * 32}
    cow = page.get_by_role("region", name="Cow", exact=True)
    cow.get_by_text("down").wait_for()
    assert cow.get_by_role("button", name="Reload").count() == 0


def test_planned_faults_and_charges_are_listed_and_cleared(page: Page, backend: MockBackend) -> None:
    page.get_by_role("tab", name="Poe").click()
    faults = page.get_by_role("region", name="Faults")
    faults.get_by_text("Dog: status").wait_for()
    page.get_by_role("cell", name="fish").wait_for()
    backend.answers["DELETE /api/faults"] = {"done": True}
    faults.get_by_role("button", name="Clear").click()
    backend.next_call("DELETE", "/api/faults")
    charges = [states.state()["charges"][0] | {"amount_usd_milli_cents": 123_456}]
    backend.push({"type": "faults", "faults": []}, {"type": "balance", "balance": 876_544, "charges": charges})
    faults.get_by_text("Dog: status").wait_for(state="detached")
    page.get_by_text("Balance $8.76544").wait_for()
    page.get_by_role("cell", name="$1.23456").wait_for()


def test_each_kind_of_fault_has_its_arguments(page: Page, backend: MockBackend) -> None:
    backend.answers["POST /api/faults"] = {"number": 2}
    page.get_by_role("tab", name="Poe").click()
    kinds = page.get_by_label("Kind")
    sent: dict[str, set[str]] = {}
    for kind in kinds.locator("option").all_inner_texts():
        kinds.select_option(kind)
        page.get_by_role("button", name="Plan").click()
        call = backend.next_call("POST", "/api/faults").json
        sent[call["kind"]] = set(call) - {"where", "kind", "times"}
    assert sent == {
        "status": {"status"},
        "rate_limited": {"retry_after"},
        "truncate_events": {"events"},
        "truncate": {"size"},
        "reset": set(),
        "slow": {"seconds"},
        "silent": {"seconds"},
        "garbage": set(),
    }


def test_a_log_record_leads_to_its_exchange(page: Page) -> None:
    page.get_by_role("tab", name="Logs").click()
    page.get_by_role("option", name="the bowl is empty").click()
    page.get_by_role("region", name="The log record").get_by_text("the bowl is empty").wait_for()
    page.get_by_role("button", name=f"exchange {EXCHANGE}").click()
    page.get_by_role("region", name=f"Exchange {EXCHANGE}").get_by_role("tab", name="Logs").click()
    page.get_by_role("option", name="the bowl is empty").wait_for()


def test_a_recording_without_a_bot(browser: Browser) -> None:
    """Nothing can be sent; everything can be read."""
    state = states.state(mode="recording", bots=[], default_bot=None, conversations=[])
    state["exchanges"] = [states.exchange(EXCHANGE, source="r1")]
    state["recordings"] = [{"id": "r1", "name": "bot.jsonl", "exchanges": 1, "is_cut": True}]
    answers = states.answers()
    answers[f"GET /api/exchanges/{EXCHANGE}"] |= {"source": "r1"}
    with serving(MockBackend(state, answers | {"DELETE /api/recordings/r1": {"done": True}})) as backend:
        page = browser.new_page()
        page.goto(f"{backend.address}&exchange={EXCHANGE}")
        exchange = page.get_by_role("region", name=f"Exchange {EXCHANGE}")
        exchange.get_by_role("option", name="word 0").wait_for()
        assert page.get_by_role("button", name="Send", exact=True).is_disabled()
        assert exchange.get_by_role("button", name="Resend").count() == 0
        page.get_by_text("its last line incomplete").wait_for()
        page.get_by_role("button", name="Close", exact=True).click()
        backend.next_call("DELETE", "/api/recordings/r1")
        page.close()

"""The inspector, driven in Chromium against a mock of the backend."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import states
from .mock_backend import MockBackend
from .states import EXCHANGE

if TYPE_CHECKING:
    from playwright.sync_api import Page


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
    page.get_by_text("3 older exchanges were dropped").wait_for()
    page.get_by_role("region", name="Exchange r1-1").wait_for()

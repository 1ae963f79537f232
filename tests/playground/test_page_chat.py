"""The chat, driven in Chromium against a mock of the backend: what it shows, and what it sends."""

from __future__ import annotations

import io
import json
import wave
from typing import TYPE_CHECKING, Any

import pytest

from . import states
from .mock_backend import TOKEN, MockBackend, wait_until
from .states import CONVERSATION

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page


def change(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": kind, **fields}


def begin_reply(backend: MockBackend, **fields: Any) -> None:
    """The bot begins to answer: a message without text."""
    reply = states.message("m-4", "", status="streaming", texts=[], **fields)
    backend.push(
        change("conversation", conversation=states.conversation(streaming=True)),
        change("message", conversation=CONVERSATION, message=reply),
    )


def append(backend: MockBackend, text: str, *, index: int = 0, epoch: int = 0) -> None:
    start = backend.sent.get((index, epoch), 0)
    backend.sent[index, epoch] = start + len(text)
    backend.push(
        change("text", conversation=CONVERSATION, message="m-4", index=index, epoch=epoch, start=start, append=text)
    )


def end_reply(backend: MockBackend, *texts: str, **fields: Any) -> None:
    whole = [{"index": index, "epoch": 0, "text": text} for index, text in enumerate(texts)]
    backend.push(
        change("message", conversation=CONVERSATION, message=states.message("m-4", "", texts=whole, **fields)),
        change("conversation", conversation=states.conversation()),
    )


def reply(page: Page) -> Locator:
    return page.locator('[data-message="m-4"]')


def test_a_message_is_sent_with_the_parameters_and_streams_in(page: Page, backend: MockBackend) -> None:
    page.get_by_label("Message", exact=True).fill("Hello")
    page.keyboard.press("Enter")

    sent = backend.next_call("POST", f"/api/conversations/{CONVERSATION}/messages").json
    assert sent["text"] == "Hello"
    assert sent["parameters"] == {
        "breed": "siamese",
        "purr": False,
        "loudness": 3,
        "story": "Once upon a time",
        "shape": "16:9",
    }
    begin_reply(backend)
    append(backend, "One **bold")
    reply(page).get_by_text("One **bold").wait_for()
    append(backend, "** word\n\nand more")
    reply(page).get_by_text("and more").wait_for()
    assert reply(page).locator("strong").inner_text() == "bold"
    page.get_by_role("button", name="Stop", exact=True).last.click()
    backend.next_call("POST", f"/api/conversations/{CONVERSATION}/stop")


def test_replaced_text_discards_the_text_before(page: Page, backend: MockBackend) -> None:
    begin_reply(backend)
    append(backend, "thinking\n\nhard")
    reply(page).get_by_text("hard").wait_for()
    append(backend, "done", epoch=1)
    reply(page).get_by_text("done").wait_for()
    assert reply(page).locator(".text").inner_text() == "done"


def test_settled_blocks_are_rendered_once(page: Page, backend: MockBackend) -> None:
    begin_reply(backend)
    append(backend, "first\n\nsecond")
    first = reply(page).locator(".block p", has_text="first")
    first.wait_for()
    first.evaluate("element => element.canary = 1")
    append(backend, " half\n\n- a\n\n- b\n\n```python\nx = 1\n")
    append(backend, "```\nend")
    reply(page).get_by_text("end", exact=True).wait_for()
    assert first.evaluate("element => element.canary") == 1
    assert reply(page).locator("ul").count() == 1
    assert reply(page).locator("code .hljs-number").inner_text() == "1"


def test_code_is_highlighted_when_its_fence_closes(page: Page, backend: MockBackend) -> None:
    begin_reply(backend)
    append(backend, "```python\nx = 1\n")
    reply(page).locator("pre", has_text="x = 1").wait_for()
    assert reply(page).locator(".hljs-number").count() == 0
    append(backend, "```\n")
    reply(page).locator(".hljs-number").wait_for()


def test_the_streamed_rendering_equals_that_of_the_complete_text(page: Page, backend: MockBackend) -> None:
    begin_reply(backend)
    for start in range(0, len(states.ANSWER), 7):
        append(backend, states.ANSWER[start : start + 7])
    end_reply(backend, states.ANSWER)
    reply(page).get_by_role("button", name="Copy", exact=True).wait_for()
    html = """id => {
        const text = document.querySelector(`[data-message="${id}"] .text`);
        return text.innerHTML.replaceAll('<div class="block"></div>', "");
    }"""
    whole = page.evaluate(html, "m-2")
    wait_until(page, f"whole => ({html})('m-4') === whole", whole)


def test_several_answers_by_index(page: Page, backend: MockBackend) -> None:
    begin_reply(backend)
    append(backend, "zero")
    append(backend, "one", index=1)
    reply(page).get_by_role("heading", name="Answer 2").wait_for()
    assert reply(page).locator(".text").all_inner_texts() == ["zero", "one"]


def test_plain_text_is_not_markdown(page: Page, backend: MockBackend) -> None:
    begin_reply(backend, content_type="text/plain")
    end_reply(backend, "**a**\n\n`b`", content_type="text/plain")
    reply(page).get_by_text("**a**").wait_for()
    assert reply(page).locator(".text").inner_text() == "**a**\n\n`b`"


def test_an_error_offers_a_retry_only_where_the_bot_allows_it(page: Page, backend: MockBackend) -> None:
    end_reply(
        backend, "x", status="failed", error={"text": "no fish", "type": "insufficient_fund", "allow_retry": True}
    )
    alert = page.get_by_role("alert")
    alert.get_by_text("no fish").wait_for()
    alert.get_by_role("button", name="Retry").click()
    assert backend.next_call("POST", f"/api/conversations/{CONVERSATION}/retry").json == {"message": "m-4"}

    end_reply(backend, "x", status="failed", error={"text": "never", "type": None, "allow_retry": False})
    alert.get_by_text("never").wait_for()
    assert alert.get_by_role("button", name="Retry").count() == 0


def test_suggested_replies_feedback_reactions_edit_and_fork(page: Page, backend: MockBackend) -> None:
    answer = page.locator('[data-message="m-2"]')
    page.get_by_role("group", name="Suggested replies").get_by_role("button", name="Tell me more").click()
    assert backend.next_call("POST", f"/api/conversations/{CONVERSATION}/messages").json["text"] == "Tell me more"

    answer.get_by_role("button", name="Dislike").click()
    answer.get_by_label("Why?").fill("wrong")
    page.keyboard.press("Enter")
    sent = backend.next_call("POST", "/api/messages/m-2/feedback").json
    assert sent == {"feedback_type": "dislike", "reason": "wrong"}

    answer.get_by_role("button", name="Reaction 👍").click()
    sent = backend.next_call("POST", "/api/messages/m-2/reactions").json
    assert sent == {"reaction": "👍", "action": "removed"}

    page.locator('[data-message="m-1"]').get_by_role("button", name="Edit").click()
    wait_until(page, "() => document.getElementById('draft').value === 'What passes between us?'")
    page.get_by_label("Message", exact=True).fill("What else?")
    page.get_by_role("button", name="Send").click()
    sent = backend.next_call("POST", f"/api/conversations/{CONVERSATION}/edit").json
    assert (sent["message"], sent["text"]) == ("m-1", "What else?")

    answer.get_by_role("button", name="Fork").click()
    assert backend.next_call("POST", f"/api/conversations/{CONVERSATION}/fork").json == {"message": "m-2"}
    page.get_by_role("button", name="Delete Fork").wait_for()


def test_controls_have_defaults_conditions_and_tabs(page: Page, backend: MockBackend) -> None:
    page.get_by_text("Parameters").click()
    assert page.get_by_label("Loudness").count() == 0
    page.get_by_role("switch", name="Purr").check()
    page.get_by_label("Loudness").fill("7")
    page.get_by_label("Breed").select_option("Manx")
    page.get_by_role("tab", name="Words").focus()
    page.keyboard.press("ArrowRight")
    page.get_by_role("radio", name="1:1").check()
    page.get_by_label("Message", exact=True).fill("Hi")
    page.keyboard.press("Enter")
    sent = backend.next_call("POST", f"/api/conversations/{CONVERSATION}/messages").json["parameters"]
    assert sent == {"breed": "manx", "purr": True, "loudness": 7, "story": "Once upon a time", "shape": "1:1"}


def test_a_dropped_file_is_uploaded_and_sent(page: Page, backend: MockBackend) -> None:
    attachment = {
        "url": f"{backend.origin}/poe/secret/files/cat.txt",
        "content_type": "text/plain",
        "name": "cat.txt",
        "inline_ref": None,
        "size": 4,
    }
    backend.answers["POST /api/files"] = attachment
    page.get_by_label("Files to attach").set_input_files(
        {"name": "cat.txt", "mimeType": "text/plain", "buffer": b"meow"}
    )
    call = backend.next_call("POST", "/api/files")
    assert (call.query, call.body) == ({"name": "cat.txt"}, b"meow")
    page.get_by_role("button", name="Remove cat.txt").wait_for()
    drop = "list => { const data = new DataTransfer(); data.items.add(new File(['purr'], 'dog.txt')); return data; }"
    page.dispatch_event("section.chat", "drop", {"dataTransfer": page.evaluate_handle(drop)})
    assert backend.next_call("POST", "/api/files").body == b"purr"
    page.get_by_label("Message", exact=True).fill("look")
    wait_until(page, "() => document.querySelectorAll('.pending .attachment').length === 2")
    page.keyboard.press("Enter")
    sent = backend.next_call("POST", f"/api/conversations/{CONVERSATION}/messages").json
    assert sent["attachments"] == [attachment, attachment]


def attachment(backend: MockBackend, name: str, kind: str, **fields: Any) -> dict[str, Any]:
    url = f"{backend.origin}/poe/secret/files/{name}"
    return {"url": url, "content_type": kind, "name": name, "inline_ref": None, "size": 9} | fields


def test_attachments_of_the_bot(page: Page, backend: MockBackend) -> None:
    pixel = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"></svg>'
    for name in ("cat", "dog"):
        backend.files[f"/poe/secret/files/{name}.svg"] = ("image/svg+xml", pixel)
    files = [
        attachment(backend, "cat.svg", "image/svg+xml", inline_ref="ref1"),
        attachment(backend, "dog.svg", "image/svg+xml"),
        attachment(backend, "cat.pdf", "application/pdf"),
        attachment(backend, "far.png", "image/png", url="https://example.com/far.png"),
    ]
    end_reply(backend, "Look: ![the cat][ref1]", attachments=files)
    inline = reply(page).locator(".text").get_by_role("img", name="the cat")
    inline.wait_for()
    separate = reply(page).locator("figure").get_by_role("img", name="dog.svg")
    separate.wait_for()
    wait_until(page, "() => [...document.images].every((image) => image.naturalWidth === 9)")
    assert reply(page).locator("img").count() == 2
    assert reply(page).get_by_role("link", name="cat.pdf").get_attribute("href") == files[2]["url"]
    far = reply(page).get_by_role("link", name="far.png")
    assert (far.get_attribute("href"), far.get_attribute("rel")) == (files[3]["url"], "noopener noreferrer")


def test_an_inline_reference_that_arrives_after_its_text(page: Page, backend: MockBackend) -> None:
    backend.files["/poe/secret/files/cat.svg"] = ("image/svg+xml", b'<svg xmlns="http://www.w3.org/2000/svg"></svg>')
    begin_reply(backend)
    append(backend, "Look: ![the cat][ref1]\n\nand [the file][ref2]\n\nend")
    reply(page).get_by_text("end", exact=True).wait_for()
    assert reply(page).get_by_role("img").count() == 0
    files = [
        attachment(backend, "cat.svg", "image/svg+xml", inline_ref="ref1"),
        attachment(backend, "cat.pdf", "application/pdf", inline_ref="ref2"),
    ]
    end_reply(backend, "Look: ![the cat][ref1]\n\nand [the file][ref2]\n\nend", attachments=files)
    reply(page).get_by_role("img", name="the cat").wait_for()
    assert reply(page).get_by_role("link", name="the file").get_attribute("href") == files[1]["url"]


@pytest.mark.parametrize(("tag", "kind"), [("audio", "audio/wav"), ("video", "video/webm")])
def test_media_of_the_bot_are_played_from_the_playground_only(
    page: Page, backend: MockBackend, tag: str, kind: str
) -> None:
    backend.files["/poe/secret/files/purr"] = (kind, silence())
    near = attachment(backend, "purr", kind)
    far = attachment(backend, "far", kind, url="https://example.com/far")
    end_reply(backend, "Listen.", attachments=[near, far])
    reply(page).locator(tag).wait_for()
    assert reply(page).locator("audio, video").count() == 1
    media = reply(page).locator(f"{tag}[controls]")
    assert (media.get_attribute("src"), media.get_attribute("aria-label")) == (near["url"], "purr")
    assert media.get_attribute("autoplay") is None
    if tag == "audio":
        wait_until(page, "() => document.querySelector('audio').duration > 0")
    assert reply(page).get_by_role("link", name="far").get_attribute("href") == far["url"]


def silence() -> bytes:
    """A tenth of a second, as a WAV file."""
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(1)
        sound.setframerate(8_000)
        sound.writeframes(b"\x80" * 800)
    return file.getvalue()


def test_a_bot_that_accepts_no_attachments_gets_none(page: Page, backend: MockBackend) -> None:
    backend.push(change("bot", bot=states.bot(settings={"response_version": 2, "allow_attachments": False})))
    page.get_by_role("button", name="Attach", exact=True).wait_for(state="detached")
    drop = "list => { const data = new DataTransfer(); data.items.add(new File(['purr'], 'dog.txt')); return data; }"
    page.dispatch_event("section.chat", "drop", {"dataTransfer": page.evaluate_handle(drop)})
    page.get_by_role("status").get_by_text("Cat accepts no attachments").wait_for()
    assert page.locator(".pending").count() == 0


def test_the_chat_scrolls_to_its_end(page: Page, backend: MockBackend) -> None:
    messages = page.get_by_role("region", name="Messages")
    below = (
        "() => { const e = document.querySelector('.messages'); return e.scrollHeight - e.scrollTop - e.clientHeight; }"
    )
    begin_reply(backend)
    for i in range(40):
        append(backend, f"- line {i}\n")
    end_reply(backend, "".join(f"- line {i}\n" for i in range(40)), suggested_replies=["go on"])
    page.get_by_role("button", name="go on").wait_for()
    wait_until(page, f"() => ({below})() < 2")
    # A reader who has scrolled up stays there.
    messages.hover()
    page.mouse.wheel(0, -300)
    wait_until(page, f"() => ({below})() > 200")
    end_reply(backend, "".join(f"- line {i}\n" for i in range(80)), suggested_replies=["go further"])
    page.get_by_role("button", name="go further").wait_for()
    assert page.evaluate(f"({below})()") > 200


def test_settings_that_could_not_be_fetched_are_mentioned(page: Page, backend: MockBackend) -> None:
    backend.push(change("bot", bot=states.bot(settings=None, settings_error="status 500")))
    page.get_by_text("The settings of Cat could not be fetched: status 500").wait_for()


def test_a_failed_reply_has_no_feedback_and_leads_to_the_log(page: Page, backend: MockBackend) -> None:
    error = {"text": "went wrong", "type": None, "allow_retry": False}
    end_reply(backend, "half", status="failed", error=error)
    reply(page).get_by_text("went wrong").wait_for()
    assert reply(page).get_by_role("button", name="Like").count() == 0
    assert reply(page).get_by_role("button", name="React").count() == 0
    reply(page).get_by_role("button", name="What the bot logged").click()
    exchange = page.get_by_role("region", name=f"Exchange {states.EXCHANGE}")
    exchange.get_by_role("tab", name="Logs", selected=True).wait_for()
    exchange.get_by_text("the bowl is empty").wait_for()


def test_a_suggested_reply_does_not_change_the_field(page: Page, backend: MockBackend) -> None:
    page.locator('[data-message="m-1"]').get_by_role("button", name="Edit").click()
    page.get_by_text("Editing a message").wait_for()
    page.get_by_role("button", name="Tell me more").click()
    sent = backend.next_call("POST", f"/api/conversations/{CONVERSATION}/messages").json
    assert sent["text"] == "Tell me more"
    assert "attachments" not in sent
    assert page.get_by_label("Message", exact=True).input_value() == "What passes between us?"


def test_an_edit_ends_when_another_conversation_is_chosen(page: Page, backend: MockBackend) -> None:
    backend.push(change("conversation", conversation=states.conversation("c-2", title="Other")))
    page.locator('[data-message="m-1"]').get_by_role("button", name="Edit").click()
    page.get_by_text("Editing a message").wait_for()
    page.get_by_role("button", name="Other Cat").click()
    page.get_by_text("Editing a message").wait_for(state="detached")
    assert page.get_by_label("Message", exact=True).input_value() == ""


def test_a_mentioned_bot_gets_its_own_parameters(page: Page, backend: MockBackend) -> None:
    page.get_by_text("Parameters", exact=True).wait_for()
    page.get_by_label("Message", exact=True).fill("@Dog sit")
    page.get_by_text("Parameters", exact=True).wait_for(state="detached")
    page.keyboard.press("Enter")
    sent = backend.next_call("POST", f"/api/conversations/{CONVERSATION}/messages").json
    assert sent["text"] == "@Dog sit"
    assert "parameters" not in sent
    page.get_by_text("Parameters", exact=True).wait_for()


def test_another_token_replaces_the_connection(page: Page) -> None:
    with page.expect_event("requestfailed", lambda request: request.url.endswith("/api/events")):
        page.evaluate("token => { location.hash = 'token=' + token; }", TOKEN)
    wait_until(page, "() => !location.hash.includes('token')")


def test_an_empty_conversation_shows_the_first_step(page: Page, backend: MockBackend) -> None:
    backend.push(
        change("bot", bot=states.bot(settings={"response_version": 2})),
        change("messages", conversation=CONVERSATION, messages=[]),
    )
    page.get_by_role("region", name="Messages").get_by_text("Write a message").wait_for()


CANARY = """<p id=out></p><script>
const attempts = {};
for (const [name, act] of Object.entries({
  top: () => top.document, cookie: () => document.cookie, storage: () => localStorage.length,
})) { try { act(); attempts[name] = "reached"; } catch { attempts[name] = "refused"; } }
attempts.origin = self.origin;
fetch("/api/state").then(() => "reached", () => "refused").then((result) => {
  attempts.api = result;
  out.textContent = JSON.stringify(attempts);
});
</script>"""


def assert_isolated(page: Page) -> None:
    """The script of the canary has run in the frame, and reached nothing outside it."""
    out = page.frame_locator("iframe.html-frame").locator("#out")
    out.get_by_text("api").wait_for()
    assert json.loads(out.inner_text()) == {
        "top": "refused",
        "cookie": "refused",
        "storage": "refused",
        "origin": "null",
        "api": "refused",
    }


# These tests have `bare_page`: requests that the policy of the frame refuses are errors in the console.


def test_html_runs_in_a_frame_that_cannot_reach_the_page(bare_page: Page, backend: MockBackend) -> None:
    end_reply(backend, CANARY, content_type="text/html")
    assert_isolated(bare_page)
    height = "Number.parseInt(document.querySelector('.html-frame').style.height)"
    wait_until(bare_page, f"() => {height} > 40 && {height} < 200")


@pytest.mark.parametrize("comment", ["", "<!--" + "x\n" * 30_000 + "-->"], ids=["short", "cut into pieces"])
def test_an_html_code_block_is_run_on_demand(bare_page: Page, backend: MockBackend, comment: str) -> None:
    page = bare_page
    begin_reply(backend)
    append(backend, f"Look:\n\n```html\n{CANARY}")
    reply(page).locator("pre", has_text="attempts").wait_for()
    assert reply(page).get_by_role("button", name="Run the html").count() == 0
    append(backend, f"{comment}\n```\n\nand\n\n```python\nx = 1\n```\n")
    reply(page).get_by_role("button", name="Copy the python").wait_for()
    assert page.locator("iframe").count() == 0
    reply(page).get_by_role("button", name="Run the html").click()
    assert_isolated(page)
    frame = page.locator("iframe.html-frame")
    assert (frame.get_attribute("src"), frame.get_attribute("sandbox")) == ("/frame", "allow-scripts")
    backend.push(change("conversation", conversation=states.conversation(network=True)))
    page.locator('iframe[src="/frame?network=1"]').wait_for()
    reply(page).get_by_role("button", name="Close the running html").click()
    assert frame.count() == 0


def test_a_code_block_is_copied_as_it_was_sent(page: Page, backend: MockBackend) -> None:
    end_reply(backend, "1. first\n\n   ```python\n   if x:\n       y = '<&>'\n   ```\n\n```\nplain\n```")
    reply(page).get_by_role("button", name="Copy the python").click()
    page.get_by_role("status").get_by_text("Copied.").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == "if x:\n    y = '<&>'\n"
    reply(page).get_by_role("button", name="Copy the code").wait_for()
    assert reply(page).get_by_role("button", name="Run").count() == 0


def test_replaced_code_has_no_tools_left(page: Page, backend: MockBackend) -> None:
    begin_reply(backend)
    append(backend, "```html\n<b>x</b>\n```\n")
    reply(page).get_by_role("button", name="Run the html").click()
    page.locator("iframe.html-frame").wait_for()
    append(backend, "done", epoch=1)
    reply(page).get_by_text("done").wait_for()
    assert reply(page).locator("iframe, .code-bar").count() == 0


def test_an_html_attachment_is_run_on_demand(bare_page: Page, backend: MockBackend) -> None:
    page = bare_page
    backend.files["/poe/secret/files/page.html"] = ("text/html", CANARY.encode())
    url = f"{backend.origin}/poe/secret/files/page.html"
    attachment = {"url": url, "content_type": "text/html", "name": "page.html", "inline_ref": None, "size": 9}
    missing = attachment | {"url": f"{backend.origin}/poe/secret/files/none.html", "name": "none.html"}
    end_reply(backend, "Here.", attachments=[attachment, missing])
    reply(page).get_by_role("button", name="Run page.html").click()
    assert_isolated(page)
    reply(page).get_by_role("button", name="Close page.html").click()
    assert page.locator("iframe").count() == 0
    reply(page).get_by_role("button", name="Run none.html").click()
    page.get_by_role("status").get_by_text("none.html could not be loaded: TypeError: HTTP 404").wait_for()


def test_a_mention_is_completed_by_the_keyboard(page: Page, backend: MockBackend) -> None:
    field = page.get_by_label("Message", exact=True)
    bots = page.get_by_role("listbox", name="Bots to ask")
    field.press_sequentially("@")
    assert bots.get_by_role("option").count() == 2
    assert bots.get_by_role("option", selected=True).inner_text().startswith("@Cat")
    page.keyboard.press("ArrowUp")
    assert bots.get_by_role("option", selected=True).inner_text().startswith("@Dog")
    assert field.get_attribute("aria-activedescendant") == bots.get_by_role("option").last.get_attribute("id")
    page.keyboard.press("Escape")
    bots.wait_for(state="detached")
    field.press_sequentially("d")
    assert bots.get_by_role("option").count() == 1
    page.keyboard.press("Enter")
    assert field.input_value() == "@Dog "
    assert bots.count() == 0
    field.press_sequentially("sit")
    page.keyboard.press("Enter")
    sent = backend.next_call("POST", f"/api/conversations/{CONVERSATION}/messages").json
    assert sent["text"] == "@Dog sit"


def test_a_mention_is_chosen_by_a_click_and_no_bot_is_offered_for_an_unknown_name(page: Page) -> None:
    field = page.get_by_label("Message", exact=True)
    field.fill("@cow")
    field.press("End")
    assert page.get_by_role("listbox", name="Bots to ask").count() == 0
    field.fill("@d")
    page.get_by_role("option", name="@Dog").click()
    assert field.input_value() == "@Dog "
    assert field.evaluate("field => field === document.activeElement")


def test_the_answer_of_a_mentioned_bot_has_its_name(page: Page, backend: MockBackend) -> None:
    asked = states.message("m-3", "@Dog sit", "user", bot="Dog")
    answer = states.message("m-4", "Woof.", bot="Dog")
    backend.push(*(change("message", conversation=CONVERSATION, message=message) for message in (asked, answer)))
    reply(page).get_by_role("heading", name="Dog").wait_for()
    page.get_by_role("article", name="Dog").get_by_text("Woof.").wait_for()
    page.locator('[data-message="m-3"]').get_by_text("to Dog").wait_for()


def test_the_token_leaves_the_address_and_a_reload_keeps_the_conversation(page: Page, backend: MockBackend) -> None:
    assert TOKEN not in page.url
    assert f"conversation={CONVERSATION}" in page.url
    page.get_by_label("Message", exact=True).fill("half a thought")
    page.reload()
    page.locator('[data-message="m-2"]').wait_for()
    assert page.get_by_label("Message", exact=True).input_value() == "half a thought"


def test_without_a_token_the_page_asks_for_it(page: Page, backend: MockBackend) -> None:
    page.evaluate("sessionStorage.clear()")
    page.goto("about:blank")
    page.goto(backend.origin)
    page.get_by_label("Token").fill(backend.address)
    page.keyboard.press("Enter")
    page.locator('[data-message="m-2"]').wait_for()


def test_a_link_without_a_token_in_a_page_that_has_none_says_what_to_do(page: Page, backend: MockBackend) -> None:
    page.evaluate("sessionStorage.clear()")
    page.goto("about:blank")
    page.goto(backend.origin)
    page.get_by_label("Token").wait_for()
    page.evaluate("id => { location.hash = `conversation=${id}&exchange=x-1`; }", CONVERSATION)
    page.get_by_role("alert").get_by_text("This link has no token").wait_for()
    page.get_by_label("Token").fill(backend.address)
    page.keyboard.press("Enter")
    page.locator('[data-message="m-2"]').wait_for()
    assert page.get_by_role("alert").count() == 0


def test_a_link_in_an_open_page_shows_what_it_names(page: Page, backend: MockBackend) -> None:
    backend.push(change("conversation", conversation=states.conversation("c-2", title="Other")))
    page.get_by_role("button", name="Other Cat").click()
    page.evaluate("hash => { location.hash = hash; }", f"conversation={CONVERSATION}&exchange={states.EXCHANGE}")
    page.locator('[data-message="m-2"]').wait_for()
    page.get_by_role("region", name=f"Exchange {states.EXCHANGE}").wait_for()


@pytest.mark.parametrize("named", ["conversation", "exchange"])
def test_a_link_of_another_launch_says_what_to_do(page: Page, named: str) -> None:
    before = page.url
    page.evaluate("hash => { location.hash = hash; }", f"{named}=of-another-launch")
    page.get_by_role("status").get_by_text(f"This playground has no such {named}.").wait_for()
    page.get_by_text("open the address that its poeproto play printed").wait_for()
    assert page.url == before
    page.locator('[data-message="m-2"]').wait_for()


def test_an_answer_is_regenerated_and_an_edit_is_cancelled(page: Page, backend: MockBackend) -> None:
    page.locator('[data-message="m-2"]').get_by_role("button", name="Regenerate").click()
    assert backend.next_call("POST", f"/api/conversations/{CONVERSATION}/retry").json == {"message": "m-2"}
    page.locator('[data-message="m-1"]').get_by_role("button", name="Edit").click()
    field = page.get_by_label("Message", exact=True)
    page.get_by_text("Editing a message").wait_for()
    field.press("Escape")
    page.get_by_text("Editing a message").wait_for(state="detached")
    assert field.input_value() == ""


def test_conversations_are_made_chosen_and_deleted(page: Page, backend: MockBackend) -> None:
    other = states.conversation("c-2", title="")
    backend.answers |= {"POST /api/conversations": other, "DELETE /api/conversations/c-2": {"done": True}}
    backend.answers["GET /api/conversations/c-2"] = {"conversation": other, "messages": []}
    conversations = page.get_by_role("navigation", name="Conversations")
    conversations.get_by_role("button", name="New conversation").first.click()
    assert backend.next_call("POST", "/api/conversations").json == {}
    page.locator('[data-message="m-2"]').wait_for(state="detached")
    conversations.get_by_role("button", name="What passes between us Cat").click()
    page.locator('[data-message="m-2"]').wait_for()
    conversations.get_by_role("button", name="Delete the conversation").click()
    backend.next_call("DELETE", "/api/conversations/c-2")
    backend.push(change("conversation-removed", id="c-2"))
    conversations.get_by_role("button", name="Delete the conversation").wait_for(state="detached")


def test_the_network_is_switched_on_for_a_conversation(page: Page, backend: MockBackend) -> None:
    backend.answers[f"POST /api/conversations/{CONVERSATION}"] = states.conversation(network=True)
    page.get_by_label("network for HTML").check()
    assert backend.next_call("POST", f"/api/conversations/{CONVERSATION}").json == {"network": True}


def test_a_file_is_pasted_and_removed(page: Page, backend: MockBackend) -> None:
    backend.answers["POST /api/files"] = attachment(backend, "cat.txt", "text/plain")
    page.get_by_label("Message", exact=True).evaluate("""field => {
        const clipboardData = new DataTransfer();
        clipboardData.items.add(new File(["meow"], "cat.txt", {type: "text/plain"}));
        field.dispatchEvent(new ClipboardEvent("paste", {clipboardData, bubbles: true}));
    }""")
    assert backend.next_call("POST", "/api/files").body == b"meow"
    page.get_by_role("button", name="Remove cat.txt").click()
    page.locator(".pending").wait_for(state="detached")


def test_a_refused_message_stays_in_the_field(bare_page: Page, backend: MockBackend) -> None:
    page = bare_page  # a refusal is an error in the console
    del backend.answers[f"POST /api/conversations/{CONVERSATION}/edit"]
    page.locator('[data-message="m-1"]').get_by_role("button", name="Edit").click()
    field = page.get_by_label("Message", exact=True)
    field.fill("What else?")
    page.keyboard.press("Enter")
    page.get_by_role("status").get_by_text("no /api/conversations").wait_for()
    wait_until(page, "() => document.getElementById('draft').value === 'What else?'")

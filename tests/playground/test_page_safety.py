"""What a bot writes runs nothing, loads nothing from elsewhere, and leads nowhere by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from . import states
from .mock_backend import MockBackend, wait_until
from .states import CONVERSATION

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

FAR = "https://far.test"
HOSTILE = [
    "<script>window.canary = 1</script>",
    f'<script src="{FAR}/a.js"></script>',
    '<img src=x onerror="window.canary = 1">',
    f'<img src="{FAR}/a.png">',
    f'<img srcset="{FAR}/a.png 1x">',
    '<svg onload="window.canary = 1"></svg>',
    "<svg><script>window.canary = 1</script></svg>",
    '<svg><animate onbegin="window.canary = 1" attributeName=x dur=1s>',
    '<svg><a href="javascript:window.canary = 1"><text y=20>x</text></a></svg>',
    f'<svg><image href="{FAR}/a.png"/></svg>',
    f'<svg><use href="{FAR}/a.svg#x"/></svg>',
    '<math><mtext><style><img src=x onerror="window.canary = 1">',
    '<body onload="window.canary = 1">',
    '<input autofocus onfocus="window.canary = 1">',
    '<details open ontoggle="window.canary = 1">',
    '<video onerror="window.canary = 1"><source src=x></video>',
    f'<video src="{FAR}/a.mp4" autoplay></video>',
    f'<audio src="{FAR}/a.mp3" autoplay></audio>',
    '<iframe src="javascript:parent.canary = 1"></iframe>',
    '<iframe srcdoc="<script>parent.canary = 1</script>"></iframe>',
    f'<iframe src="{FAR}/"></iframe>',
    f'<object data="{FAR}/a.swf"></object>',
    f'<embed src="{FAR}/a.swf">',
    f'<form action="{FAR}/"><button>Send</button></form>',
    f'<button formaction="{FAR}/">Send</button>',
    f'<style>@import "{FAR}/a.css"; body {{ display: none }}</style>',
    f'<p style="background: url({FAR}/a.png); position: fixed; inset: 0">x</p>',
    f'<link rel=stylesheet href="{FAR}/a.css">',
    f'<link rel=prefetch href="{FAR}/">',
    f'<base href="{FAR}/">',
    f'<a href="{FAR}/" target="_top">x</a>',
    '<a href="javascript:window.canary = 1">x</a>',
    "[x](javascript:window.canary=1)",
    "[x](&#106;avascript:window.canary=1)",
    "[x](java\tscript:window.canary=1)",
    "[x](data:text/html,<script>opener.canary=1</script>)",
    "[x](vbscript:msgbox)",
    f"![x]({FAR}/a.png)",
    '![x](x"onerror="window.canary=1)',
    "<javascript:window.canary=1>",
    "```html\n<img src=x onerror='window.canary = 1'>\n```",
    f'```"><img src="{FAR}/a.png" onerror="window.canary=1">\nx\n```',
    "<template><img src=x onerror='window.canary = 1'></template>",
    "<noscript><p title='</noscript><img src=x onerror=window.canary=1>'>",
    "<!--><img src=x onerror='window.canary = 1'>-->",
    f'<a ping="{FAR}/" href="#">x</a>',
    f'<table background="{FAR}/a.png"><tr><td>x</table>',
    "[a]: javascript:window.canary=1\n\n[a]",
    "| <img src=x onerror=window.canary=1> |\n|---|\n| x |",
    "$<img src=x onerror=window.canary=1>$",
]
# The policy cannot forbid this one: that there is no such element is the sanitiser's part, and the parser's.
META_REFRESH = f'<meta http-equiv="refresh" content="0;url={FAR}/">'


def far_requests(page: Page, origin: str) -> list[str]:
    """The requests to elsewhere, as they are made. They are aborted. What the policy blocks is no request."""
    made: list[str] = []

    def abort(route: Route) -> None:
        made.append(route.request.url)
        route.abort()

    page.context.route(lambda url: not url.startswith(origin), abort)
    return made


def wait_for_all_handlers(page: Page) -> None:
    """What was inserted has loaded or failed: its events were dispatched before a fetch that began after it ends."""
    page.evaluate("""async () => {
        await fetch("/assets/app.css");
        await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
    }""")


def test_hostile_text_becomes_harmless_nodes(page: Page, backend: MockBackend) -> None:
    far = far_requests(page, backend.origin)
    url = page.url
    hostile = [*HOSTILE, META_REFRESH]
    messages = [states.message(f"h-{i}", text) for i, text in enumerate(hostile)]
    backend.push({"type": "messages", "conversation": CONVERSATION, "messages": messages})
    wait_until(page, "count => document.querySelectorAll('[data-message^=h-] .block').length >= count", len(hostile))
    wait_for_all_handlers(page)
    assert page.evaluate("window.canary") is None
    assert far == []
    assert page.url == url
    forbidden = "script, svg, math, style, link, meta, base, form, input, iframe, object, embed, img, video, audio"
    assert page.locator(".message .text").locator(forbidden).count() == 0
    links = page.locator(".message .text a").evaluate_all("links => links.map((link) => [link.protocol, link.target])")
    assert {tuple(link) for link in links} <= {("https:", "_blank"), ("http:", "_blank"), ("mailto:", "_blank")}


@pytest.mark.parametrize("which", ["inserted", "followed"])
def test_the_policy_alone_stops_hostile_html(bare_page: Page, backend: MockBackend, which: str) -> None:
    """As if neither the Markdown parser nor the sanitiser existed."""
    page = bare_page
    far = far_requests(page, backend.origin)
    url = page.url
    for html in HOSTILE:
        page.evaluate("html => { document.querySelector('.text').innerHTML = html; }", html)
        if which == "followed":
            page.evaluate("""() => {
                const host = document.querySelector('.text');
                for (const link of host.querySelectorAll('a')) {
                    const target = link.getAttribute('href') ?? '';
                    if (!target.startsWith('https:')) link.dispatchEvent(new MouseEvent('click', {cancelable: true}));
                }
                for (const form of host.querySelectorAll('form')) form.requestSubmit();
            }""")
        wait_for_all_handlers(page)
    assert page.evaluate("window.canary") is None
    assert far == []
    assert page.url.split("#")[0] == url.split("#")[0]

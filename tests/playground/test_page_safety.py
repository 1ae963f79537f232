"""The text of a bot runs no script, loads nothing from elsewhere, and follows no link."""

from __future__ import annotations

import re
import socket
from typing import TYPE_CHECKING

import pytest

from . import states
from .mock_backend import MockBackend
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
    # Schemes hidden by control characters, white space, case, escapes or look-alikes.
    "[x](JaVaScRiPt:window.canary=1)",
    "[x](<java\nscript:window.canary=1>)",
    "[x](&#x01;javascript:window.canary=1)",
    "[x](javascript&colon;window.canary=1)",
    "[x](java&Tab;script&colon;window.canary=1)",
    "[x](\x00javascript:window.canary=1)",
    "[x](%6aavascript:window.canary=1)",
    "[x](\u0458avascript:window.canary=1)",
    "[x](\u200bjavascript:window.canary=1)",
    "[x](view-source:javascript:window.canary=1)",
    "[x](blob:null/1)",
    f"[x](filesystem:{FAR}/a)",
    "[x](intent://x#Intent;S.browser_fallback_url=javascript:1;end)",
    "[x](//far.test/protocol-relative)",
    "[x](\\\\far.test/a)",
    "<data:text/html,x> <vbscript:x> <file:///etc/passwd> <ftp://far.test/> <JAVASCRIPT:window.canary=1>",
    '<a href="java&#10;script:window.canary = 1">x</a>',
    '<a href=" &#14; javascript:window.canary = 1">x</a>',
    '<a href="\x01javascript:window.canary = 1">x</a>',
    '<a href="data:text/html,<script>opener.canary = 1</script>" target=_blank>x</a>',
    # Images: data URLs, and every other place that loads.
    "![x](data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' onload='window.canary=1'/>)",
    "![x](data:image/png;base64,iVBORw0KGgo=)",
    '<img src="data:image/svg+xml,%3Csvg xmlns=%22http://www.w3.org/2000/svg%22 onload=%22top.canary=1%22/%3E">',
    f'<picture><source srcset="{FAR}/a.webp"><img src=x></picture>',
    f'<img src=x lowsrc="{FAR}/a.png" longdesc="{FAR}/a" usemap="#m"><map name=m><area href="{FAR}/"></map>',
    f'<input type=image src="{FAR}/a.png">',
    f'<video poster="{FAR}/a.png"></video>',
    f'<track src="{FAR}/a.vtt">',
    f'<body background="{FAR}/a.png">',
    # Style.
    f"<style>@font-face {{ font-family: x; src: url({FAR}/a.woff2) }} * {{ font-family: x }}</style>",
    f"<style>input[value^=a] {{ background: url({FAR}/a) }}</style><input value=abc>",
    f'<div style="list-style-image: url({FAR}/a.png); display: list-item">x</div>',
    f'<div style="background-image: image-set(url({FAR}/a.png) 1x)">x</div>',
    f"<svg><style>@import url({FAR}/a.css);</style></svg>",
    '<style onload="window.canary = 1"></style>',
    # SVG and MathML.
    f'<svg><use href="data:image/svg+xml,<svg xmlns=http://www.w3.org/2000/svg><image href={FAR}/a/></svg>#x"/>',
    '<svg><a xlink:href="javascript:window.canary = 1"><rect width=9 height=9 /></a></svg>',
    '<svg><set attributeName=onmouseover to="window.canary = 1"/></svg>',
    '<svg><a><animate attributeName=href values="javascript:window.canary = 1"/><text y=9>x</text></a></svg>',
    '<svg><foreignObject><iframe srcdoc="<script>parent.canary = 1</script>"></iframe></foreignObject></svg>',
    f'<svg><feImage href="{FAR}/a.png"/><filter id=f><feImage href="{FAR}/b.png"/></filter></svg>',
    f'<svg fill="url({FAR}/a.svg#x)"><rect width=9 height=9 filter="url({FAR}/b.svg#x)"/></svg>',
    '<math href="javascript:window.canary = 1">x</math>',
    '<math><maction actiontype="statusline#" xlink:href="javascript:window.canary = 1">x</maction></math>',
    '<math><annotation-xml encoding="text/html"><img src=x onerror="window.canary = 1"></annotation-xml></math>',
    # Markup that means something else when it is parsed a second time.
    '<svg></p><style><a id="</style><img src=x onerror=window.canary=1>">',
    '<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=x onerror=window.canary=1&gt;">',
    "<form><math><mtext></form><form><mglyph><style></math><img src=x onerror=window.canary=1>",
    "<svg><title><noscript></title><img src=x onerror=window.canary=1></noscript></svg>",
    "<noscript><style></noscript><img src=x onerror=window.canary=1></style></noscript>",
    '<template shadowrootmode=open><img src=x onerror="window.canary = 1"></template>',
    "<div><template shadowrootmode=open><script>window.canary = 1</script></template></div>",
    "<textarea></textarea><img src=x onerror=window.canary=1></textarea>",
    "<title></title><img src=x onerror=window.canary=1></title>",
    "<xmp><p title='</xmp><img src=x onerror=window.canary=1>'></xmp>",
    "<![CDATA[<img src=x onerror=window.canary=1>]]>",
    "<?xml-stylesheet href='javascript:window.canary=1'?>",
    "<a title='&quot;><img src=x onerror=window.canary=1>'>x</a>",
    "<img src=x onerror\x0c=window.canary=1>",
    "<img/src=x/onerror=window.canary=1>",
    # Elements that navigate away, or open a connection without being shown.
    f'<link rel=preconnect href="{FAR}"><link rel=dns-prefetch href="{FAR}"><link rel=preload as=image href="{FAR}/a">',
    f'<link rel=modulepreload href="{FAR}/a.js"><link rel=icon href="{FAR}/a.ico"><link rel=manifest href="{FAR}/a">',
    f'<script type=speculationrules>{{"prefetch": [{{"source": "list", "urls": ["{FAR}/"]}}]}}</script>',
    f"<iframe srcdoc=\"<meta http-equiv=refresh content='0;url={FAR}/'>\"></iframe>",
    f'<iframe name=x></iframe><a href="{FAR}/" target=x>x</a><frameset onload="window.canary = 1"><frame src="{FAR}/">',
    f'<a href="{FAR}/" target="_top" rel="opener" download attributionsrc="{FAR}/a">x</a>',
    f'<a href="#" ping="{FAR}/a {FAR}/b">x</a>',
    f'<object type="text/html" data="javascript:parent.canary = 1"><param name=src value="{FAR}/"></object>',
    f'<portal src="{FAR}/"></portal><fencedframe src="{FAR}/"></fencedframe><applet codebase="{FAR}/"></applet>',
    '<button popovertarget=x onclick="window.canary = 1">x</button><dialog open id=x>x</dialog>',
    # Elements named as parts of the document, and very long values.
    "<form id=app><input name=attributes><input name=parentNode></form><img name=cookie><a id=location>x</a>",
    f'<a href="https://example.com/{"a" * 100_000}" title="{"b" * 100_000}" onclick="window.canary = 1">x</a>',
    f"[x](https://example.com/{'a' * 50_000}){'![' * 2_000}",
    f"{'<b>' * 5_000}<img src=x onerror=window.canary=1>",
]
# The policy cannot forbid this element: the sanitiser and the parser must not produce it.
META_REFRESH = f'<meta http-equiv="refresh" content="0;url={FAR}/">'


def far_requests(page: Page, origin: str) -> list[str]:
    """The requests to other origins, which are aborted. Requests that the policy blocks are not among them."""
    made: list[str] = []

    def abort(route: Route) -> None:
        made.append(route.request.url)
        route.abort()

    page.context.route(lambda url: not url.startswith(origin), abort)
    return made


def wait_for_all_handlers(page: Page) -> None:
    """Wait until the inserted elements have loaded or failed: its events were dispatched before a fetch that began
    after it ends.
    """
    page.evaluate("""async () => {
        document.body.getBoundingClientRect();  // what styles load is requested by now
        await fetch("/assets/app.css");
        // No animation frame: a link may have opened a window before this one.
        await new Promise((resolve) => setTimeout(resolve));
    }""")


def test_hostile_text_becomes_harmless_nodes(page: Page, backend: MockBackend) -> None:
    far = far_requests(page, backend.origin)
    url = page.url
    hostile = [*HOSTILE, META_REFRESH]
    messages = [states.message(f"h-{i}", text) for i, text in enumerate(hostile)]
    # Texts are rendered in order, so when this one is shown, all are.
    messages.append(states.message("last", "the *end*"))
    backend.push({"type": "messages", "conversation": CONVERSATION, "messages": messages})
    page.locator("[data-message=last] em").wait_for()
    shown = page.locator("[data-message^=h-] .text").evaluate_all("texts => texts.map((text) => text.innerText.trim())")
    assert len(shown) == len(hostile)
    assert [text for text, visible in zip(hostile, shown, strict=True) if not visible] == []
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
    followed = [html for html in HOSTILE if re.search("<(a|form)\\b", html)]
    for html in followed if which == "followed" else HOSTILE:
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


# A script that sends a packet by WebRTC, which no policy forbids.
RTC = """const peer = new RTCPeerConnection({iceServers: [{urls: "stun:127.0.0.1:PORT"}]});
peer.createDataChannel("x"); peer.createOffer().then((offer) => peer.setLocalDescription(offer));"""
INNER = f"<iframe srcdoc='<script>{RTC}</script>'></iframe>"
SCRIPTED = INNER.replace("</script>", "<\\/script>")
WAYS_TO_RTC = [
    f"<script>{RTC}</script>",
    INNER,
    f"<script>document.documentElement.insertAdjacentHTML('beforeend', `{SCRIPTED}`)</script>",
    f"<script>document.documentElement.attachShadow({{mode: 'closed'}}).innerHTML = `{SCRIPTED}`</script>",
    f"<p id=host></p><script>host.attachShadow({{mode: 'closed'}}).innerHTML = `{SCRIPTED}`</script>",
    f"<div><template shadowrootmode=closed>{INNER}</template></div>",
    f"<p id=host></p><script>host.setHTMLUnsafe(`<b><template shadowrootmode=closed>{SCRIPTED}</template>`)</script>",
    f"<script>document.write('<p><template shadowroot'); document.write(`mode=closed>{SCRIPTED}</template>`)</script>",
    f"<script>location.search || location.assign('/frame?network=1'); {RTC}</script>",
]


def test_html_in_a_frame_without_network_sends_no_packet(bare_page: Page, backend: MockBackend) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", 0))
        port = str(listening.getsockname()[1])
        listening.settimeout(10)

        def run(ways: list[str], *, network: bool) -> None:
            conversation = states.conversation(network=network)
            shown = [
                states.message(f"rtc-{network}-{i}", way.replace("PORT", port), content_type="text/html")
                for i, way in enumerate(ways)
            ]
            backend.push(
                {"type": "conversation", "conversation": conversation},
                {"type": "messages", "conversation": CONVERSATION, "messages": shown},
            )
            for message in shown:
                bare_page.locator(f"[data-message={message['id']}] iframe[style*=height]").wait_for()

        run(WAYS_TO_RTC, network=False)
        wait_for_all_handlers(bare_page)
        # The first packet is that of the frame that may send one, which is loaded after the others.
        listening.setblocking(False)
        with pytest.raises(BlockingIOError):
            listening.recv(2000)
        listening.settimeout(10)
        run(WAYS_TO_RTC[:1], network=True)
        listening.recv(2000)


def test_document_write_works_in_a_frame(bare_page: Page, backend: MockBackend) -> None:
    html = "<p>It is <script>document.write('<b>', 2026, '</b>'); document.write('!')</script></p>"
    answer = states.message("m-4", html, content_type="text/html")
    backend.push({"type": "message", "conversation": CONVERSATION, "message": answer})
    shown = bare_page.frame_locator("iframe.html-frame").locator("p")
    shown.get_by_text("2026").wait_for()
    assert shown.evaluate("element => element.innerText") == "It is 2026!"

"""The page's own files, the document in which a bot's HTML runs, and the headers that keep both in their place."""

from __future__ import annotations

import hashlib
from pathlib import Path

import anyio

from poeproto import HttpResponse
from poeproto_simulator import HTTPError

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".woff2": "font/woff2",
    ".txt": "text/plain; charset=utf-8",
}
_COMMON = (
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cache-control", "no-cache"),
)
_MISSING_PAGE = (
    b"<!doctype html><title>poeproto playground</title><p>The page of the playground is not part of this installation."
    b" Its API works."
)

# --- the document of a bot's HTML

# It gets the HTML from the page, by a message, and writes it into itself once. Nothing in it can be trusted from then
# on: the page reads no more of it than a height.
#
# No policy that browsers know forbids WebRTC, which can reach any address. So without network the document removes it,
# and any frame within itself, where it would exist again. A frame cannot be seen in a closed shadow root, so those that
# HTML declares (`shadowrootmode`) are prevented: by a fragment parser, which ignores it, or by renaming it.
FRAME_DOCUMENT = b"""<!doctype html>
<meta charset="utf-8">
<title>HTML of a bot</title>
<script>
(() => {
  const parent = window.parent;
  const hasNetwork = new URLSearchParams(location.search).get("network") === "1";
  const report = () => parent.postMessage({type: "height", height: document.documentElement.scrollHeight}, "*");

  const remove = (object, name) => Object.defineProperty(object, name, {value: undefined});
  const keepFramesOut = (root) => {
    const frames = "iframe, frame, object, embed, fencedframe";
    const removeAll = () => root.querySelectorAll(frames).forEach((frame) => frame.remove());
    new MutationObserver(removeAll).observe(root, {childList: true, subtree: true});
  };
  const removeWebRtc = () => {
    Object.getOwnPropertyNames(window).filter((name) => name.includes("RTC")).forEach((name) => remove(window, name));
    keepFramesOut(document);
    const attachShadow = Element.prototype.attachShadow;
    Element.prototype.attachShadow = function (options) {
      const root = attachShadow.call(this, options);
      keepFramesOut(root);
      return root;
    };
    [Element.prototype, ShadowRoot.prototype].forEach((prototype) => remove(prototype, "setHTMLUnsafe"));
    remove(Document, "parseHTMLUnsafe");
    const write = function (...texts) {
      this.currentScript?.insertAdjacentHTML("beforebegin", texts.join(""));
    };
    Document.prototype.write = Document.prototype.writeln = write;
  };

  const receive = (event) => {
    if (event.source !== parent || !event.data || event.data.type !== "html") return;
    window.removeEventListener("message", receive);
    const html = String(event.data.html);
    const write = document.write.bind(document);
    document.open();
    if (!hasNetwork) removeWebRtc();
    write(hasNetwork ? html : html.replace(/shadowrootmode/gi, "data-$&"));
    document.close();
    report();
    new ResizeObserver(report).observe(document.documentElement);
  };
  window.addEventListener("message", receive);
  parent.postMessage({type: "ready"}, "*");
})();
</script>
"""


def page_policy(*, remote_media: bool) -> str:
    """The page's `Content-Security-Policy`.

    Without remote media no request of the page leaves this machine: the URL of an image in a reply could send the
    conversation's text to any server.
    """
    remote = " https:" if remote_media else ""
    return "; ".join(
        [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            f"img-src 'self' data: blob:{remote}",
            f"media-src 'self' blob:{remote}",
            "font-src 'self'",
            "connect-src 'self'",
            # Also keeps a frame from leaving for another address.
            "frame-src 'self'",
            "form-action 'none'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
            "object-src 'none'",
        ]
    )


def frame_policy(*, network: bool) -> str:
    """The `Content-Security-Policy` of the document of a bot's HTML: an origin of its own, and no network."""
    remote = " https:" if network else ""
    return "; ".join(
        [
            "sandbox allow-scripts",
            "default-src 'none'",
            f"script-src 'unsafe-inline'{remote}",
            f"style-src 'unsafe-inline'{remote}",
            f"img-src data: blob:{remote}",
            f"media-src data: blob:{remote}",
            f"font-src data:{remote}",
            *(["connect-src https:"] if network else []),
            "form-action 'none'",
            "base-uri 'none'",
            "frame-ancestors 'self'",
        ]
    )


def frame_response(*, network: bool) -> HttpResponse:
    """The document of a bot's HTML."""
    headers = [
        *(header for header in _COMMON if header[0] != "cross-origin-opener-policy"),
        ("content-security-policy", frame_policy(network=network)),
        ("x-dns-prefetch-control", "off"),
    ]
    return HttpResponse.of(200, "text/html; charset=utf-8", FRAME_DOCUMENT, headers)


# --- the page


class StaticFiles:
    """The files of the page.

    Args:
        folder: where they are.
        remote_media: whether the page may load images and media from https addresses.
    """

    def __init__(self, folder: Path, *, remote_media: bool) -> None:
        self._folder = folder
        self._headers = (
            *_COMMON,
            ("content-security-policy", page_policy(remote_media=remote_media)),
            ("x-frame-options", "DENY"),
        )

    async def response(self, name: str, if_none_match: str) -> HttpResponse:
        """The response to a request for a file.

        Raises:
            HTTPError: with status 404, for a file that there is not.
        """
        content_type = _TYPES.get(Path(name).suffix)
        if content_type is None or "/" in name or "\\" in name or name.startswith("."):
            raise HTTPError(404, "the playground has no such file")
        try:
            body = await anyio.Path(self._folder / name).read_bytes()
        except OSError:
            if name != "index.html":
                raise HTTPError(404, "the playground has no such file") from None
            body = _MISSING_PAGE
        tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        headers = (*self._headers, ("etag", tag))
        if if_none_match == tag:
            return HttpResponse.of(304, content_type, b"", headers)
        return HttpResponse.of(200, content_type, body, headers)

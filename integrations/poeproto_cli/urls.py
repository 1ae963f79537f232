"""URLs as people type them, and suggestions for invalid ones."""

from __future__ import annotations

import re
from pathlib import Path

import click

from poeproto_asgi.targets import has_scheme

# A scheme without all of its slashes.
_SCHEME = re.compile(r"https?:/?(?=[^/\d])|https?:/(?=\d)")
# An address without a scheme. It is not a target, since the name of an attribute cannot be a number.
_ADDRESS = re.compile(r"[^/:]+:\d+(/.*)?", re.DOTALL)
# A host name without a port. It is not a target either, since it names no attribute.
_HOST = re.compile(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+(/[^:]*)?")


def is_target(target_or_url: str) -> bool:
    """Whether this is a target as for `poeproto serve`, and no URL of a running bot."""
    return "://" not in target_or_url or has_scheme(target_or_url)


def checked_url(url: str) -> str:
    """The URL, if it has a scheme. The client checks the rest.

    Raises:
        click.UsageError: when it has none; the message suggests a URL.
    """
    if "://" not in url:
        raise _not_a_url(url)
    return url


def refuse_address(target: str) -> None:
    """Refuse a target that looks like an incomplete URL, before it is imported as a module.

    Raises:
        click.UsageError: with a message that suggests a URL.
    """
    if has_scheme(target):
        return
    is_host = _HOST.fullmatch(target) is not None and not target.endswith(".py") and not Path(target).exists()
    if _SCHEME.match(target) or _ADDRESS.fullmatch(target) or is_host:
        raise _not_a_url(target)


def _not_a_url(text: str) -> click.UsageError:
    if set(text) & set("@?#"):
        # The message does not repeat the text, which may contain a key.
        return click.UsageError("this is not a URL; expected one as http://127.0.0.1:8080/")
    if not text:
        return click.UsageError("the URL is empty")
    if not set(text) & set(".:/"):
        meant = f"https://api.poe.com/bot/{text}, with an API key as --access-key?"
    else:
        scheme = _SCHEME.match(text)
        meant = f"http://{text}?" if scheme is None else f"{scheme[0].rstrip(':/')}://{text[scheme.end() :]}?"
    return click.UsageError(f"{text!r} is not a URL; did you mean {meant}")

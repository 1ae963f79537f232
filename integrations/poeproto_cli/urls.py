"""URLs as people type them."""

from __future__ import annotations

import re

import click

# A scheme after which a slash or two were forgotten.
_SCHEME = re.compile(r"https?:/?(?=[^/\d])|https?:/(?=\d)")
# An address whose scheme was: no attribute of a module is called by a number.
_ADDRESS = re.compile(r"[^/:]+:\d+(/.*)?", re.DOTALL)


def checked_url(url: str) -> str:
    """The URL, if it is one as far as can be seen here.

    Raises:
        click.UsageError: when it is none; the message says what may be meant.
    """
    if "://" not in url:
        raise _not_a_url(url)
    return url


def refuse_address(target: str) -> None:
    """Refuse a target that was to be a URL. It would be looked for as a module.

    Raises:
        click.UsageError: which says what may be meant.
    """
    if _SCHEME.match(target) or _ADDRESS.fullmatch(target):
        raise _not_a_url(target)


def _not_a_url(text: str) -> click.UsageError:
    if set(text) & set("@?#"):
        return click.UsageError("this is not a URL")  # without it: there may be a key in it
    if not text:
        return click.UsageError("the URL is empty")
    if not set(text) & set(".:/"):
        meant = f"https://api.poe.com/bot/{text}, with an API key as --access-key?"
    else:
        scheme = _SCHEME.match(text)
        meant = f"http://{text}?" if scheme is None else f"{scheme[0].rstrip(':/')}://{text[scheme.end() :]}?"
    return click.UsageError(f"{text!r} is not a URL; did you mean {meant}")

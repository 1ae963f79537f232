"""The addresses of Poe: the URLs of its query API and its file service."""

from __future__ import annotations

from contextlib import suppress
from urllib.parse import quote

import attrs

from poeproto.vocabulary.field_types import checked
from poeproto.vocabulary.repr_redaction import root_without_credentials

__all__ = ["Endpoints"]


@checked
@attrs.frozen
class Endpoints:
    """The root URLs of Poe, or of a simulator in its place.

    Attributes:
        api: the root of the bot query API, without a slash at its end.
        files: the root of the file service, without a slash at its end.
    """

    api: str = attrs.field(default="https://api.poe.com", repr=root_without_credentials)
    files: str = attrs.field(default="https://www.quora.com", repr=root_without_credentials)

    @classmethod
    def at(cls, root: str) -> Endpoints:
        """The endpoints of a simulator: both services under one root URL."""
        root = root.rstrip("/")
        return cls(root, root)

    def bot(self, name: str) -> str:
        """The URL of the bot of that name.

        Raises:
            ValueError: for a name that is empty, a dot segment (RFC 3986, 3.3), or contains a lone surrogate.
        """
        return f"{self.api}/bot/{_segment(name, 'the name of a bot')}"

    def settings(self, call: str, bot_name: str, access_key: str, version: str) -> str:
        """The URL of a call about a bot's settings. It contains the key, so do not log it.

        Args:
            call: "update_settings" or "fetch_settings".
            bot_name: the bot's name on Poe.
            access_key: its key.
            version: the protocol's version.

        Raises:
            ValueError: as in `bot`; the message does not show the key.
        """
        name, key = _segment(bot_name, "the name of a bot"), _segment(access_key, "an access key", shown=False)
        return f"{self.api}/bot/{call}/{name}/{key}/{_segment(version, 'a version')}"

    def cost(self, call: str, bot_query_id: str) -> str:
        """The URL of a call about the cost of a query: "authorize" or "capture".

        Raises:
            ValueError: as in `bot`.
        """
        return f"{self.api}/bot/cost/{_segment(bot_query_id, 'a bot_query_id')}/{call}"

    @property
    def file_upload(self) -> str:
        """The URL that files are uploaded to."""
        return f"{self.files}/poe_api/file_upload_3RD_PARTY_POST"


# Poe itself: the default of calls to Poe.
POE = Endpoints()


def _segment(text: str, what: str, *, shown: bool = True) -> str:
    if text in ("", ".", ".."):
        raise ValueError(f"{text!r} is not {what}")
    # Suppressed, not chained: the exception contains the text, which may be a key.
    with suppress(UnicodeEncodeError):
        return quote(text, safe="")
    raise ValueError(f"{text!r} is not {what}" if shown else f"the value given is not {what}")

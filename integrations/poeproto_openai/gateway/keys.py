"""The keys of a gateway: who may ask, and with which key bots on Poe are called."""

from __future__ import annotations

import re
from collections.abc import Iterable

from poeproto import RequestHead
from poeproto.auth import access_key_set, bearer_key, key_matches
from poeproto_openai.api_error import ApiError

__all__ = ["GatewayKeys"]

# The characters of an access key.
_KEY = re.compile(rb"[!-~]+")
_WRONG = "the API key is missing or wrong; send it as Authorization: Bearer KEY"
_NOT_POES = (
    "bots on Poe are called with the caller's key: send a key of Poe as Authorization: Bearer KEY, not one of the"
    " gateway's, or give the gateway a key for Poe"
)


class GatewayKeys:
    """The keys that callers have, and that of the gateway for Poe.

    A caller has one of the gateway's own keys, or, for a bot on Poe, a key of Poe, which the gateway forwards. With a
    key of its own for Poe, the gateway forwards none: its callers spend its points, so they need its keys.

    Args:
        api_keys: the gateway's own keys; None for no keys.
        allow_without_key: accept requests without a key.
        poe_key: the gateway's key for Poe.
        uses_poe: whether there are bots on Poe.

    Attributes:
        allow_without_key: as above.

    Raises:
        ValueError: if no caller could be accepted, if keys are given although requests without a key are accepted, or
            if a key is malformed.
    """

    def __init__(
        self,
        api_keys: str | Iterable[str] | None,
        *,
        allow_without_key: bool,
        poe_key: str | None,
        uses_poe: bool,
    ) -> None:
        if api_keys is not None and allow_without_key:
            raise ValueError("api_keys and allow_without_key=True exclude each other; pass one of them")
        passes_keys_on = uses_poe and poe_key is None
        if api_keys is None and not allow_without_key and not passes_keys_on:
            raise ValueError("pass api_keys, or allow_without_key=True to answer anyone")
        if poe_key is not None:
            access_key_set(poe_key)
        self._accepted = None if api_keys is None else access_key_set(api_keys)
        self.allow_without_key = allow_without_key
        self._poe_key = poe_key
        self._passes_keys_on = passes_keys_on

    def __repr__(self) -> str:
        return f"<GatewayKeys: {len(self._accepted or ())} of its own>"

    def check(self, head: RequestHead) -> bytes | None:
        """The key of a caller, which may be meant for Poe; None for a caller who needs none.

        Raises:
            ApiError: with status 401, for a key that can have no effect.
        """
        key = _key_of(head)
        if self.allow_without_key or self.is_own(key):
            return key
        if key is None or not self._passes_keys_on:
            raise _unauthorised()
        return key

    def for_own_bot(self, key: bytes | None) -> None:
        """Check that a caller with this key may ask a bot that is not on Poe.

        Raises:
            ApiError: with status 401, if the caller may not.
        """
        if not self.allow_without_key and not self.is_own(key):
            raise _unauthorised()

    def for_poe(self, key: bytes | None) -> str:
        """The key to call a bot on Poe with, for a caller with this key.

        Raises:
            ApiError: with status 401, if there is none.
        """
        if self._poe_key is not None:
            self.for_own_bot(key)
            return self._poe_key
        if key is None or self.is_own(key) or _KEY.fullmatch(key) is None:
            raise _unauthorised(_NOT_POES)
        return key.decode()

    def is_own(self, key: bytes | None) -> bool:
        """Whether this is one of the gateway's own keys."""
        return key is not None and self._accepted is not None and key_matches(key, self._accepted)


def _key_of(head: RequestHead) -> bytes | None:
    values = head.get_all("authorization")
    return bearer_key(values[0]) if len(values) == 1 else None


def _unauthorised(message: str = _WRONG) -> ApiError:
    return ApiError(
        message,
        status=401,
        type="authentication_error",
        code="invalid_api_key",
        headers=[("www-authenticate", "Bearer")],
    )

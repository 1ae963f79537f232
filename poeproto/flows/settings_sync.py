"""The settings sync: pushing a bot's settings to Poe, or asking Poe to fetch them from the bot.

https://creator.poe.com/docs/server-bots/updating-bot-settings
"""

from __future__ import annotations

import attrs

from poeproto.exchange.refusals import refusal
from poeproto.limits import Limits
from poeproto.vocabulary.endpoints import POE, Endpoints
from poeproto.vocabulary.errors import RemoteProtocolError, RequestRefused
from poeproto.vocabulary.field_types import NO_EXTRA
from poeproto.vocabulary.headers import ACCEPT_IDENTITY
from poeproto.vocabulary.http import HttpResponse
from poeproto.vocabulary.http_request import HttpRequest
from poeproto.vocabulary.requests import PROTOCOL_VERSION
from poeproto.vocabulary.settings import SettingsResponse
from poeproto.wire.codec import decode_settings, encode_settings

__all__ = ["fetch_settings_request", "read_settings_sync", "update_settings_request"]


def update_settings_request(
    bot_name: str,
    settings: SettingsResponse,
    *,
    access_key: str,
    endpoints: Endpoints = POE,
    version: str = PROTOCOL_VERSION,
) -> HttpRequest:
    """The request that pushes settings to Poe. Its URL contains the key, so do not log it.

    Raises:
        ValueError: for a name or a key that a URL cannot hold.
        LocalProtocolError: for settings that cannot be written as JSON.
    """
    url = endpoints.settings("update_settings", bot_name, access_key, version)
    return HttpRequest("POST", url, [("content-type", "application/json"), ACCEPT_IDENTITY], encode_settings(settings))


def fetch_settings_request(
    bot_name: str, *, access_key: str, endpoints: Endpoints = POE, version: str = PROTOCOL_VERSION
) -> HttpRequest:
    """The request that asks Poe to fetch the settings from the bot. Its URL contains the key, so do not log it.

    Raises:
        ValueError: for a name or a key that a URL cannot hold.
    """
    return HttpRequest("POST", endpoints.settings("fetch_settings", bot_name, access_key, version), [ACCEPT_IDENTITY])


def read_settings_sync(
    response: HttpResponse, *, access_key: str, limits: Limits | None = None
) -> SettingsResponse | None:
    """The settings that Poe sends back, or None if its response contains none.

    Args:
        response: the response to `update_settings_request` or `fetch_settings_request`.
        access_key: the key, to be hidden in errors.
        limits: the limits of the error.

    Raises:
        RequestRefused: for another status than 200.
    """
    if response.status != 200:
        message = f"Poe answered with status {response.status} to a change of settings"
        raise refusal(RequestRefused, message, response, response.body, access_key.encode(), limits or Limits())
    try:
        settings = decode_settings(response.body)
    except RemoteProtocolError:
        return None  # the status shows success; the text is not parsed
    says_something = attrs.evolve(settings, extra=NO_EXTRA) != SettingsResponse(response_version=0)
    return settings if says_something else None

"""The settings of a bot, sent to Poe or fetched by it."""

from __future__ import annotations

import json
from typing import Any

from poeproto_compat.bot_context import PROTOCOL_VERSION
from poeproto_compat.calls import call
from poeproto_compat.errors import BotError
from poeproto_compat.poe_of_request import base_url_in_request
from poeproto_compat.sync_utils import run_sync
from poeproto_compat.types import SettingsResponse

BOT_API_URL = "https://api.poe.com/bot/"


def sync_bot_settings(
    bot_name: str,
    access_key: str = "",
    *,
    settings: dict[str, Any] | SettingsResponse | None = None,
    base_url: str = BOT_API_URL,
) -> None:
    """Send a bot's settings to Poe, or have Poe fetch them from the running bot; prints Poe's answer.

    Args:
        bot_name: the bot's name.
        access_key: its key.
        settings: the settings; without them, Poe fetches them.
        base_url: where Poe is; that of Poe means, within a request, where the server's calls go.

    Raises:
        BotError: when Poe cannot be reached, or refuses.
    """
    from poeproto import DeadlineExceeded, PoeprotoError
    from poeproto.http import HttpRequest

    if isinstance(settings, SettingsResponse):
        settings = settings.model_dump(exclude_none=True)
    verb = "fetch_settings" if settings is None else "update_settings"
    url = f"{base_url_in_request(base_url)}{verb}/{bot_name}/{access_key}/{PROTOCOL_VERSION}"
    body = b"" if settings is None else json.dumps(settings).encode()
    headers = {} if settings is None else {"content-type": "application/json"}
    request = HttpRequest("POST", url, {**headers, "accept-encoding": "identity"}, body)
    try:
        response = run_sync(call(request, None, "sync_settings", bot_name))
    except DeadlineExceeded as exc:
        advice = " Is the bot's server running?" if settings is None else ""
        raise BotError(f"Timeout syncing settings for bot {bot_name}.{advice}") from exc
    except PoeprotoError as exc:
        raise BotError(f"Error syncing settings for bot {bot_name}: {exc}") from exc
    text = response.body.decode(errors="replace")
    if access_key:
        text = text.replace(access_key, "…")
    if response.status != 200:
        raise BotError(f"Error syncing settings for bot {bot_name}: {text}")
    print(text)

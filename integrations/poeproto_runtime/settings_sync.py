"""Pushes the settings of bots to Poe when their server starts.

https://creator.poe.com/docs/server-bots/updating-bot-settings
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager

from poeproto import Limits, PoeprotoError, RequestHead, RetryPolicy, SettingsRequest, SettingsResponse
from poeproto_runtime.bot_mistakes import call_method, failure_line
from poeproto_runtime.context import RequestContext
from poeproto_runtime.outbound import Outbound
from poeproto_runtime.routes import Route
from poeproto_runtime.task_groups import background_tasks

logger = logging.getLogger("poeproto")


@asynccontextmanager
async def syncing_settings(routes: Mapping[str, Route], outbound: Outbound, limits: Limits) -> AsyncGenerator[None]:
    """Push the settings of every bot whose name and key are known, in tasks beside the block.

    The block neither waits for a push nor fails with it: failures are logged. A push under way is cancelled when the
    block is left. Each process that serves a bot pushes its settings, which does no harm; of the workers that
    `poeproto_asgi.run` starts, only the first does.
    """
    async with background_tasks() as tasks:
        for path, route in routes.items():
            if route.bot_name and route.access_key:
                tasks.start_soon(_sync, path, route, route.bot_name, route.access_key, outbound, limits)
        yield


async def _sync(path: str, route: Route, name: str, key: str, outbound: Outbound, limits: Limits) -> None:
    try:
        settings = await _settings_of(path, route, outbound, limits)
    except Exception as exc:
        line = failure_line(exc, route.bot.get_settings)
        logger.exception("the settings of %s were not synced: its get_settings failed: %s", name, line)
        return
    # To push settings twice does no harm, so failures after which other calls are not made again are retried, too.
    retry = outbound.retry or RetryPolicy(failures=True)
    try:
        await outbound.calls(route.poe(outbound.endpoints), limits, retry).sync_settings(name, settings, key)
    except PoeprotoError as exc:
        # Without the traceback: exceptions of lower layers may hold the URL, which contains the key.
        logger.error("the settings of %s were not synced: %s", name, exc)
    else:
        logger.info("the settings of %s were synced", name)


async def _settings_of(path: str, route: Route, outbound: Outbound, limits: Limits) -> SettingsResponse:
    context = RequestContext(RequestHead("POST", path), route, limits, outbound)
    try:
        settings = await call_method(route.bot.get_settings, SettingsRequest(), context)
        route.declared.update(settings)
        return settings
    finally:
        await context.close("none")

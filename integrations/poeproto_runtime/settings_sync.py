"""Telling Poe the settings of bots when their server starts.

https://creator.poe.com/docs/server-bots/updating-bot-settings
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager

import anyio

from poeproto import (
    Limits,
    PoeprotoError,
    RequestHead,
    RetryPolicy,
    SettingsRequest,
    SettingsResponse,
    encode_settings,
)
from poeproto_runtime.client.api import ApiCalls
from poeproto_runtime.context import RequestContext
from poeproto_runtime.outbound import Outbound
from poeproto_runtime.routes import Route
from poeproto_runtime.sync_claims import SyncClaim

logger = logging.getLogger("poeproto")


@asynccontextmanager
async def syncing_settings(routes: Mapping[str, Route], outbound: Outbound, limits: Limits) -> AsyncGenerator[None]:
    """Tell Poe the settings of every bot whose name and key are known, while the body runs.

    The body does not wait for it, and does not fail with it: what goes wrong is logged.
    """
    known = {path: route for path, route in routes.items() if route.bot_name and route.access_key}
    if not known:
        yield
        return
    failure: Exception | None = None
    async with anyio.create_task_group() as tasks:
        for path, route in known.items():
            tasks.start_soon(_sync, path, route, outbound, limits)
        try:
            yield
        except Exception as exc:  # noqa: BLE001 - carried past the task group, which would wrap it
            failure = exc
        tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure


async def _sync(path: str, route: Route, outbound: Outbound, limits: Limits) -> None:
    try:
        settings = await _settings_of(path, route, outbound, limits)
    except Exception:
        logger.exception("the settings of %s could not be synced: its get_settings failed", route.bot_name)
        return
    try:
        await _push(route, settings, outbound, limits)
    except PoeprotoError as exc:
        # Without the traceback: what is beneath may know the URL, which holds the key.
        logger.error("the settings of %s could not be synced: %s", route.bot_name, exc)


async def _settings_of(path: str, route: Route, outbound: Outbound, limits: Limits) -> SettingsResponse:
    context = RequestContext(RequestHead("POST", path), route, limits, outbound)
    try:
        settings = await route.bot.get_settings(SettingsRequest(), context)
        route.declared.update(settings)
        return settings
    finally:
        await context.close("none")


async def _push(route: Route, settings: SettingsResponse, outbound: Outbound, limits: Limits) -> None:
    name, key = route.bot_name, route.access_key
    assert name is not None, "only bots with a name are synced"
    endpoints = route.poe(outbound.endpoints)
    claim = SyncClaim(f"{endpoints.api} {name} {key}", encode_settings(settings))
    if not await outbound.in_thread(claim.take):
        logger.info("the settings of %s were synced by another process", name)
        return
    synced = False
    try:
        # To tell Poe twice does no harm, so that more than the usual failures are worth another try.
        retry = outbound.retry or RetryPolicy(failures=True)
        api = ApiCalls(outbound.transport, outbound.in_thread, endpoints, limits, retry)
        await api.sync_settings(name, settings, key)
        synced = True
        claim.keep()
    finally:
        if not synced:
            claim.give_back()
    logger.info("the settings of %s were synced", name)

"""`poeproto query`: a query to a bot server."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import anyio
import attrs
import click

from poeproto import Attachment, Endpoints, Limits, Message, QueryRequest, ReplyFold
from poeproto_cli.attachments import FileSource, file_source, inlined, uploaded
from poeproto_cli.conversation_file import Conversation, load_conversation
from poeproto_cli.failures import client_failures, run_call
from poeproto_cli.options import (
    access_key_option,
    backend_option,
    checked_endpoints,
    client_options,
    json_option,
    origin_of,
)
from poeproto_cli.parameters import check_parameters, checked_parameters
from poeproto_cli.raw_query import query_raw
from poeproto_cli.terminal import JsonLines, RefreshedView, ReplyView, Terminal
from poeproto_cli.urls import checked_url
from poeproto_h11 import Client, Reply
from poeproto_h11.client.shortcuts import ClientOptions

_RENDERERS = ("rich", "markdown_it")


@attrs.frozen
class _Query:
    """The arguments and options of the command.

    Attributes:
        url: the URL of the bot.
        message: the user's message, without its attachments.
        access_key: the bot's key.
        endpoints: where files are uploaded to; None if nowhere.
        files: the files to attach.
        conversation: the file of the conversation, if there is one.
        checks_parameters: whether the bot's settings decide if the parameters are right.
        options: for the client.
    """

    url: str
    message: Message
    access_key: str | None = attrs.field(repr=False)
    endpoints: Endpoints | None
    files: list[FileSource]
    conversation: Conversation | None
    checks_parameters: bool
    options: ClientOptions


@click.command()
@click.argument("url")
@click.argument("text")
@access_key_option
@click.option(
    "--file",
    "files",
    multiple=True,
    metavar="PATH_OR_URL",
    help="Attach this file. May be repeated. A file is uploaded to Poe, or to the --endpoint; without one, the query "
    "contains it. A URL is attached as it is.",
)
@click.option(
    "--endpoint",
    "endpoints",
    callback=checked_endpoints,
    metavar="URL",
    help="Upload files to this address: of a simulator, or https://api.poe.com.",
)
@click.option(
    "--conversation",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Continue the conversation in this file, and add the question and the reply to it. It is a JSON array of "
    "messages, or has one message a line (.jsonl). A file that does not exist is created.",
)
@click.option(
    "--parameter",
    "parameters",
    multiple=True,
    callback=checked_parameters,
    metavar="NAME=VALUE",
    help="Set a parameter of the bot. A VALUE that is not JSON is a string. May be repeated.",
)
@click.option("--check-parameters", is_flag=True, help="Fetch the bot's settings, and check the parameters first.")
@click.option("--raw", is_flag=True, help="Print the response as it is received: status line, headers and body.")
@click.option("--plain", is_flag=True, help="Print the text as it is, also in a terminal.")
@backend_option
@json_option
@client_options
def query(
    url: str,
    text: str,
    access_key: str | None,
    files: tuple[str, ...],
    endpoints: Endpoints | None,
    conversation: str | None,
    parameters: dict[str, Any],
    check_parameters: bool,
    raw: bool,
    plain: bool,
    backend: str,
    as_json: bool,
    options: ClientOptions,
) -> None:
    """Send TEXT to a bot server, and stream its reply.

    The URL of a bot on Poe is https://api.poe.com/bot/NAME, with an API key as --access-key.

    The text of the reply is printed as it arrives: in a terminal as Markdown, if rich is installed, else as it is. Text
    that replaces it begins on a new line. Files and suggested replies follow on standard error. With --json, each event
    is printed as one line when it arrives, with the names of the wire format.
    """
    if raw and as_json:
        raise click.UsageError("--raw and --json exclude each other")
    described = _Query(
        url=checked_url(url),
        message=Message("user", text, parameters=parameters, timestamp=_now()),
        access_key=access_key,
        endpoints=endpoints or _endpoints_of(url),
        files=[file_source(file) for file in files],
        conversation=None if conversation is None else load_conversation(conversation),
        checks_parameters=check_parameters,
        options=options,
    )
    view: ReplyView = JsonLines() if as_json else Terminal() if plain or raw else terminal_view()
    call = partial(_ask, described, _query_raw if raw else partial(_query, view))
    try:
        question, fold = run_call(call, backend)
    finally:
        view.end()
    if described.conversation is not None:
        described.conversation.append([question, _answer(fold)])


def _now() -> int:
    return time.time_ns() // 1000


def _endpoints_of(url: str) -> Endpoints | None:
    """The endpoints for uploads to the bot at that URL, if it is on Poe."""
    with client_failures():  # an invalid URL also raises here
        return Endpoints() if origin_of(url) == origin_of(Endpoints().api) else None


def terminal_view() -> ReplyView:
    """A view with live Markdown, if the terminal and the installed packages allow it."""
    output = sys.stdout
    if output is None or not output.isatty() or os.environ.get("TERM") == "dumb":
        return Terminal()
    if not output.encoding.lower().replace("-", "").startswith("utf8"):
        return Terminal()  # bullets and borders are not in every encoding
    try:
        from poeproto_cli.live_markdown import LiveMarkdown  # imported here, since its extra may not be installed
    except ModuleNotFoundError as exc:
        if (exc.name or "").partition(".")[0] not in _RENDERERS:
            raise
        return Terminal()
    return LiveMarkdown()


async def _ask(
    described: _Query, send: Callable[[Client, _Query, QueryRequest], Awaitable[ReplyFold]]
) -> tuple[Message, ReplyFold]:
    """The question as it was sent, and the complete reply."""
    options: ClientOptions = {
        **described.options,
        "endpoints": described.endpoints,
        "access_key": described.access_key,
    }
    async with Client(**options) as client:
        if described.checks_parameters:
            settings = await client.settings(described.url, access_key=described.access_key)
            check_parameters(described.message.parameters, settings)
        question = described.message
        if described.files:
            question = attrs.evolve(question, attachments=await _attachments(client, described))
        before = [] if described.conversation is None else described.conversation.messages
        request = QueryRequest([*before, question][-Limits().messages :])
        fold = await send(client, described, request)
        fold.final_text()
        return question, fold


async def _attachments(client: Client, described: _Query) -> list[Attachment]:
    if described.endpoints is None:
        return inlined(described.files)
    is_local = any(not isinstance(source.where, str) for source in described.files)
    if is_local and described.access_key is None:
        raise click.UsageError("an upload needs a key; give it with --access-key or in POE_ACCESS_KEY")
    return await uploaded(described.files, client)


async def _query(view: ReplyView, client: Client, described: _Query, request: QueryRequest) -> ReplyFold:
    async with client.query(described.url, request, access_key=described.access_key) as reply:
        if isinstance(view, RefreshedView):
            await _show_refreshed(view, reply)
        else:
            await _show(view, reply)
        return reply.fold


async def _show(view: ReplyView, reply: Reply) -> None:
    async for event in reply:
        view.show(event)


async def _show_refreshed(view: RefreshedView, reply: Reply) -> None:
    failure: Exception | None = None
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_refresh, view)
        try:
            await _show(view, reply)
        except Exception as exc:  # noqa: BLE001 - raised below, where no group is made of it
            failure = exc
        tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure


async def _refresh(view: RefreshedView) -> None:
    """Redraw the text that has grown, also while the bot is idle."""
    while True:
        await anyio.sleep(view.interval)
        view.refresh()


async def _query_raw(client: Client, described: _Query, request: QueryRequest) -> ReplyFold:
    fold = ReplyFold()
    await query_raw(described.url, request, described.access_key, described.options, fold)
    return fold


def _answer(fold: ReplyFold) -> Message:
    """The bot's message, as Poe sends it along with the next question."""
    return Message(
        "bot",
        fold.text,
        content_type="text/markdown" if fold.meta is None else fold.meta.content_type,
        timestamp=_now(),
        attachments=[Attachment(file.url, file.content_type, file.name, file.inline_ref) for file in fold.files],
        metadata=fold.metadata,
    )

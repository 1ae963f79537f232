"""The file of a conversation: its messages in the wire format, as a JSON array or as JSON Lines.

The contents of the file are never rewritten: new messages are added behind the old ones, byte for byte, and the new
file replaces the old one in one step. A command that fails or is interrupted leaves the file as it was.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import attrs
import click

from poeproto import Message, ProtocolError, QueryRequest, decode_request, encode_request
from poeproto_cli.strict_json import loads_strictly
from poeproto_cli.terminal import encodable

_LINES_SUFFIXES = frozenset({".jsonl", ".ndjson"})
_EXPECTED = "expected a JSON array of messages, or one message a line"


@attrs.frozen
class Conversation:
    """The messages in a file.

    Attributes:
        path: the file, which need not exist.
        messages: its messages, oldest first.
    """

    path: Path
    messages: list[Message]

    def append(self, messages: Sequence[Message]) -> None:
        """Append messages to the current content of the file.

        Raises:
            click.ClickException: when the file cannot be written, or holds no conversation any more.
        """
        try:
            # Read again: another command may have added messages since.
            _replace(self.path, _extended(self.path, _read(self.path), [_wire(message) for message in messages]))
        except click.UsageError as exc:
            raise click.ClickException(f"the reply is not in the conversation: {exc.message}") from exc
        except OSError as exc:
            raise click.ClickException(f"{self.path} cannot be written: {exc.strerror or exc}") from exc


def load_conversation(path: str) -> Conversation:
    """The conversation in that file; an empty one if there is no such file.

    Raises:
        click.UsageError: when the file holds something else, or cannot be read or replaced.
    """
    file = Path(path).resolve()  # a symbolic link stays one
    try:
        content = _read(file)
        if not os.access(file.parent, os.W_OK | os.X_OK):
            # Found out now, not after a query that may have cost money.
            raise click.UsageError(f"{path} cannot be written: its folder does not exist, or is not writable")
    except OSError as exc:
        raise click.UsageError(f"{path} cannot be read: {exc.strerror or exc}") from exc
    body = {"version": "1.2", "type": "query", "query": _messages_in(file, content)}
    try:
        request = decode_request(json.dumps(body))
    except ProtocolError as exc:
        raise click.UsageError(f"{path} holds no conversation: {exc}") from exc
    assert isinstance(request, QueryRequest)
    return Conversation(file, request.query)


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError as exc:
        raise click.UsageError(f"{path} is not in UTF-8; {_EXPECTED}") from exc


def _is_array(path: Path, content: str) -> bool:
    begin = content.lstrip()[:1]
    return begin == "[" if begin else path.suffix.lower() not in _LINES_SUFFIXES


def _messages_in(path: Path, content: str) -> list[Any]:
    """The messages in the file, not yet checked."""
    if not content.strip():
        return []
    if _is_array(path, content):
        return cast("list[Any]", _loads(content, str(path)))  # it begins with a bracket
    # Not `splitlines`, which splits at line ends of Unicode within strings of JSON.
    lines = enumerate(content.split("\n"), 1)
    return [_loads(line, f"{path}, line {number}") for number, line in lines if line.strip()]


def _loads(text: str, where: str) -> object:
    try:
        return loads_strictly(text)
    except (ValueError, RecursionError) as exc:
        raise click.UsageError(f"{where} is not JSON; {_EXPECTED}") from exc


def _wire(message: Message) -> dict[str, Any]:
    """A message in the wire format, without its empty fields."""
    (wire,) = json.loads(encode_request(QueryRequest([message])))["query"]
    return {name: value for name, value in wire.items() if value or name in ("role", "content")}


def _extended(path: Path, content: str, messages: list[dict[str, Any]]) -> bytes:
    _messages_in(path, content)
    old = content.rstrip()
    if _is_array(path, content):
        old = old.removesuffix("]").rstrip() or "["
        added = json.dumps(messages, ensure_ascii=False, indent=2).removeprefix("[")
        text = f"{old}{added}\n" if old.endswith("[") else f"{old},{added}\n"
    else:
        lines = "".join(f"{json.dumps(message, ensure_ascii=False)}\n" for message in messages)
        text = f"{old}\n{lines}" if old else lines
    return encodable(text, "utf-8").encode()  # with escapes for lone surrogates


def _replace(path: Path, content: bytes) -> None:
    """Replace the file in one step, so that it is never half written."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with temporary.open("xb") as file:
            if path.exists():  # before the content is there: nobody may read it who may not read the old file
                temporary.chmod(path.stat().st_mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise

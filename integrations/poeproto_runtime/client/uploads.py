"""The sources of uploads: measured first, because an upload declares its length, then read in parts."""

from __future__ import annotations

import mimetypes
import os
import tempfile
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable, Mapping
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import IO, Any, Protocol, TypeVar, cast

import attrs

from poeproto import FileTooLarge, Limits, LocalProtocolError
from poeproto.flows import UploadSource

T = TypeVar("T")

_CHUNK = 64 * 1024
# A source whose length is unknown is copied first: up to this size in memory, beyond that in a temporary file.
_IN_MEMORY = 1024 * 1024

BlockingSource = str | bytes | bytearray | memoryview | os.PathLike[str] | IO[bytes] | Iterable[bytes]
Source = UploadSource


class InThread(Protocol):
    """Calls a function that may block, without blocking the event loop if there is one."""

    def __call__(self, function: Callable[..., T], *args: Any) -> Awaitable[T]:
        """The result of the function."""
        ...


async def in_worker_thread(function: Callable[..., T], *args: Any) -> T:
    """Call a function in a worker thread; an `InThread` for anyio."""
    import anyio.to_thread  # here, because a client that blocks needs no anyio

    return await anyio.to_thread.run_sync(partial(function, *args))


@attrs.frozen
class MeasuredSource:
    """A source of known length, which can be read more than once.

    Attributes:
        content: bytes, a path, or a binary file.
        start: the position in the file where the content starts.
        size: its length in bytes.
        name: a file name.
        content_type: its media type.
        temporary: whether the file is our own copy, to be closed after the upload.
    """

    content: bytes | os.PathLike[str] | IO[bytes] = attrs.field(repr=False)
    start: int
    size: int
    name: str
    content_type: str
    temporary: bool = False

    def close(self) -> None:
        """Close the file if it is our own copy."""
        if self.temporary and not isinstance(self.content, bytes | os.PathLike):
            self.content.close()


async def measure(
    source: Source, name: str | None, content_type: str | None, limits: Limits, in_thread: InThread
) -> MeasuredSource:
    """Measure a source, and find its name and media type.

    Args:
        source: text, bytes, a path, an open binary file (read from its position), or an iterable of bytes, async or
            not.
        name: the file name; a path and a file have one of their own.
        content_type: the media type; by default guessed from the name.
        limits: `Limits.file_size` bounds a source that must be read to be measured.
        in_thread: calls functions that may block.

    Raises:
        LocalProtocolError: when there is no name.
        FileTooLarge: when a source that must be read is too large.
        TypeError: for another kind of source, or a file in text mode.
        OSError: when a file cannot be read.
    """
    start, temporary = 0, False
    if isinstance(source, str):
        content, size, own_name = (encoded := source.encode()), len(encoded), None
    elif isinstance(source, bytes | bytearray | memoryview):
        content, size, own_name = (copied := bytes(source)), len(copied), None
    elif isinstance(source, os.PathLike):
        content, own_name = source, Path(source).name
        size = (await in_thread(os.stat, source)).st_size
    elif isinstance(source, AsyncIterable):
        content, own_name, temporary = await _spool(source, limits, in_thread), None, True
        size = content.tell()
    elif callable(getattr(source, "read", None)):
        file = cast("IO[bytes]", source)
        content, own_name = file, _name_of(file)
        if file.seekable():
            start = file.tell()
            size = await in_thread(file.seek, 0, os.SEEK_END) - start
        else:
            async with aclosing(_read(file, in_thread)) as chunks:
                content, temporary = await _spool(chunks, limits, in_thread), True
            size = content.tell()
    elif isinstance(source, Iterable) and not isinstance(source, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
        async with aclosing(_iterate(source, in_thread)) as chunks:
            content, own_name, temporary = await _spool(chunks, limits, in_thread), None, True
        size = content.tell()
    else:
        kind = type(cast("object", source)).__name__
        raise TypeError(f"a file is text, bytes, a path, a binary file or an iterable of bytes, but not {kind}")
    name = name or own_name
    if not name:
        if temporary and not isinstance(content, bytes | os.PathLike):
            content.close()
        advice = "; a string is the content of a file, so pass a path as Path(...), and a URL as url=..."
        raise LocalProtocolError(
            "a file needs a name, and this source has none: pass name=" + (advice if isinstance(source, str) else "")
        )
    if content_type is None:
        content_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return MeasuredSource(content, start, size, name, content_type, temporary)


async def read_source(source: MeasuredSource, in_thread: InThread) -> AsyncGenerator[bytes]:
    """The bytes of the source, in parts.

    Raises:
        OSError: when a file cannot be read.
        TypeError: for a file in text mode.
    """
    content = source.content
    if isinstance(content, bytes):
        for start in range(0, len(content), _CHUNK):
            yield content[start : start + _CHUNK]
    elif isinstance(content, os.PathLike):
        file: IO[bytes] = await in_thread(Path(content).open, "rb")
        try:
            async with aclosing(_read(file, in_thread)) as chunks:
                async for chunk in chunks:
                    yield chunk
        finally:
            file.close()  # does not block: nothing was written
    else:
        await in_thread(content.seek, source.start)
        async with aclosing(_read(content, in_thread)) as chunks:
            async for chunk in chunks:
                yield chunk


async def _read(file: IO[bytes], in_thread: InThread) -> AsyncGenerator[bytes]:
    while chunk := await in_thread(file.read, _CHUNK):
        if not isinstance(chunk, bytes):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"the file must be open in binary mode; reading it gave {type(chunk).__name__}")
        yield chunk


async def _iterate(parts: Iterable[bytes], in_thread: InThread) -> AsyncGenerator[bytes]:
    iterator = iter(parts)

    def next_part() -> bytes | None:
        return next(iterator, None)

    while (part := await in_thread(next_part)) is not None:
        yield part


async def _spool(chunks: AsyncIterable[bytes], limits: Limits, in_thread: InThread) -> IO[bytes]:
    file = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - MeasuredSource.close closes it
    try:
        size = 0
        async for chunk in chunks:
            size += len(chunk)
            if size > limits.file_size:
                raise FileTooLarge(f"the file has more than {limits.file_size} bytes, which is the limit")
            await in_thread(file.write, chunk)
    except BaseException:
        file.close()
        if isinstance(chunks, AsyncGenerator):
            await chunks.aclose()  # a loop that is left does not close its iterator
        raise
    return cast("IO[bytes]", file)


def _name_of(file: object) -> str | None:
    name = getattr(file, "name", None)  # the name of a file opened by its descriptor is a number
    return Path(name).name if isinstance(name, str) else None

"""The place of a bot's code: the file and line at which it waits, or runs. For logs of bots that hang or block.

This relies on how CPython links coroutines and frames: `cr_await`, `ag_await`, `gi_yieldfrom`, `f_back`; and on
`gc.get_referents` for an async generator that is iterated, whose iterator has no such attribute. Without that, a log
line names the bot alone. `tests/integrations/runtime/test_stuck_bots.py` notices.
"""

from __future__ import annotations

import gc
import os
import types
from collections.abc import Iterable, Iterator
from itertools import dropwhile

import attrs

from poeproto import Bot
from poeproto_runtime.code_origin import is_core, is_library, is_ours, is_runtime

# The functions of event loops that run one step of a task; uvloop's are not Python. The runners are outside of all.
_EVENT_LOOPS = (
    os.sep.join(("asyncio", "events.py")),
    os.sep.join(("asyncio", "base_events.py")),
    os.sep.join(("asyncio", "runners.py")),
)
_TRIO_LOOP = os.sep.join(("trio", "_core", "_run.py"))
_TRIO_LOOP_FUNCTIONS = frozenset({"run", "unrolled_run"})
# The frame of a coroutine, async generator or generator, and the object that it awaits.
_LINKS = (("cr_frame", "cr_await"), ("ag_frame", "ag_await"), ("gi_frame", "gi_yieldfrom"))
_OPAQUE = frozenset({"async_generator_asend", "async_generator_athrow", "anext_awaitable", "coroutine_wrapper"})
_Frames = list[types.FrameType]


def suspended_code(awaitable: object) -> str | None:
    """The line at which a bot waits, below a coroutine of the runtime's: ``FILE:LINE in FUNCTION``.

    None if the runtime does not wait for code of a bot.
    """
    frames = _bots_frames(_awaited_frames(awaitable))
    return _described(frames) if frames else None


@attrs.frozen
class Blocking:
    """Code of a bot that runs in an event loop.

    Attributes:
        frame: the bot's outermost frame. It is held, since the number of one that has ended may be another's.
        bot: the name of the bot's class, if it is known.
        where: the line, as `suspended_code` gives it.
    """

    frame: types.FrameType = attrs.field(eq=False)
    bot: str
    where: str


def blocking_code(innermost: types.FrameType) -> Blocking | None:
    """The code of a bot that the thread of this frame runs.

    None if it runs none: the event loop waits, or a library works.
    """
    frames: _Frames = []
    frame: types.FrameType | None = innermost
    while frame is not None and not _is_event_loop(frame):
        frames.append(frame)
        frame = frame.f_back
    frames.reverse()
    below = list(dropwhile(lambda frame: not is_runtime(frame.f_code.co_filename), frames))
    of_bot = _bots_frames(below or [frame for frame in frames if not _is_of_library(frame)])
    bot = _bot_in(frames)
    # The server, which our writer calls, is a library too.
    if not of_bot or (all(map(_is_of_library, of_bot)) and not (bot is not None and _is_library_bot(bot))):
        return None
    return Blocking(of_bot[0], "a task of a bot's" if bot is None else type(bot).__name__, _described(of_bot))


def _bot_in(frames: _Frames) -> Bot | None:
    for frame in frames:
        method_of = frame.f_locals.get("self")
        for bot in (method_of, getattr(method_of, "_bot", None), getattr(frame.f_locals.get("route"), "bot", None)):
            if isinstance(bot, Bot):
                return bot
    return None


def _is_library_bot(bot: Bot) -> bool:
    code: types.CodeType | None = getattr(type(bot).get_response, "__code__", None)
    return code is not None and is_library(code.co_filename)


def _awaited_frames(awaitable: object) -> Iterator[types.FrameType]:
    while awaitable is not None:
        frame: types.FrameType | None = None
        following: object = None
        for frame_name, following_name in _LINKS:
            if hasattr(awaitable, frame_name):
                frame, following = getattr(awaitable, frame_name), getattr(awaitable, following_name)
                break
        else:  # an iterator; or a future, or another object that only the event loop knows
            if type(awaitable).__name__ in _OPAQUE:
                following = next(filter(_has_frame, gc.get_referents(awaitable)), None)
        if frame is not None:
            yield frame
        awaitable = following


def _has_frame(awaitable: object) -> bool:
    return any(hasattr(awaitable, name) for name, _ in _LINKS) or type(awaitable).__name__ in _OPAQUE


def _bots_frames(frames: Iterable[types.FrameType]) -> _Frames:
    """The frames below our first ones; the outermost stands first. None below the core, which calls no bot."""
    frames = list(frames)
    below = list(dropwhile(lambda frame: is_ours(frame.f_code.co_filename), frames))
    ours = frames[: len(frames) - len(below)]
    return [] if ours and is_core(ours[-1].f_code.co_filename) else below


def _described(frames: _Frames) -> str:
    """The innermost line outside libraries; the outermost line, if the bot belongs to a library."""
    frame = next((frame for frame in reversed(frames) if not _is_of_library(frame)), frames[0])
    return f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_qualname}"


def _is_of_library(frame: types.FrameType) -> bool:
    file = frame.f_code.co_filename
    return is_ours(file) or is_library(file)


def _is_event_loop(frame: types.FrameType) -> bool:
    name = frame.f_code.co_filename
    return name.endswith(_EVENT_LOOPS) or (name.endswith(_TRIO_LOOP) and frame.f_code.co_name in _TRIO_LOOP_FUNCTIONS)

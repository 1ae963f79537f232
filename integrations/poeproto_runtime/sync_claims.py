"""Which of several processes tells Poe a bot's settings: the first that comes with them.

The workers of one server load the same bot and start at the same time. They agree through files in the system's
temporary folder: whoever creates the one for a bot and its settings tells Poe; the others find it there, and do not.
The file names its process until Poe has been told, so that nobody relies on one that was killed before.
"""

from __future__ import annotations

import hashlib
import logging
import multiprocessing
import os
import secrets
import stat
import tempfile
import time
from pathlib import Path

logger = logging.getLogger("poeproto")

# Workers of one server start within seconds of each other. What is older is of an earlier start.
_SAME_START_SECONDS = 60.0
_DONE = "done"
# A process's number alone may be that of an earlier one: in a container they begin anew at every start.
_TOKEN = secrets.token_hex(8)


class SyncClaim:
    """The right to tell Poe these settings of this bot.

    Args:
        bot: what tells the bot from others, keys and addresses included; only a digest of it is written.
        settings: as they are sent.
    """

    def __init__(self, bot: str, settings: bytes) -> None:
        self._prefix = hashlib.sha256(f"{os.getppid()} {bot}".encode()).hexdigest()[:32]
        self._name = f"{self._prefix}-{hashlib.sha256(settings).hexdigest()[:32]}"
        self._path: Path | None = None

    def take(self) -> bool:
        """Whether it is for this process to tell Poe. Blocks for as long as the file system does."""
        if not _may_have_siblings():
            return True  # whoever starts this server wants it done, however soon after the last time
        try:
            folder = _folder()
            path = folder / self._name
            try:
                path.touch(0o600, exist_ok=False)
            except FileExistsError:
                if time.time() - path.stat().st_mtime < _SAME_START_SECONDS and _counts(path.read_text()):
                    return False
            path.write_text(f"{os.getpid()} {_TOKEN}")
            self._forget_others(folder, path)
        except (OSError, ValueError) as exc:  # or a file says what none of ours would
            logger.debug("no agreement among processes about settings: %s", exc)
            return True  # told twice is better than never
        self._path = path
        return True

    def _forget_others(self, folder: Path, path: Path) -> None:
        now = time.time()
        for other in folder.iterdir():
            # Settings that come back after others are news again; and whatever is old tells nothing any more.
            replaced = other != path and other.name.startswith(f"{self._prefix}-")
            try:
                if replaced or now - other.stat().st_mtime > _SAME_START_SECONDS:
                    other.unlink()
            except FileNotFoundError:
                pass  # another process was here first

    def keep(self) -> None:
        """Let the claim stand without this process: Poe has been told."""
        if self._path is not None:
            try:
                self._path.write_text(_DONE)
            except OSError as exc:
                logger.debug("a claim could not be marked as done: %s", exc)

    def give_back(self) -> None:
        """Let another process tell Poe: this one could not."""
        if self._path is not None:
            try:
                self._path.unlink(missing_ok=True)
            except OSError as exc:
                logger.debug("a claim could not be given back: %s", exc)


def _counts(written: str) -> bool:
    """Whether Poe was told or is being told by whoever wrote this; an empty file was created a moment ago."""
    return written in ("", _DONE) or _is_alive(written)


def _is_alive(owner: str) -> bool:
    number, _, token = owner.partition(" ")
    if int(number) == os.getpid():
        return token == _TOKEN
    if os.name != "posix":
        return True  # elsewhere signal 0 is a signal, and nobody could be asked without harm
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it is somebody's
    return True


def _may_have_siblings() -> bool:
    # Workers are children of multiprocessing, or at least do not lead the process group of the server they belong to.
    if multiprocessing.parent_process() is not None:
        return True
    return hasattr(os, "getpgrp") and os.getpgrp() != os.getpid()


def _folder() -> Path:
    """A folder that nobody else can write to.

    Raises:
        OSError: when there is none.
    """
    user = os.getuid() if hasattr(os, "getuid") else None
    folder = Path(tempfile.gettempdir()) / f"poeproto-settings-{'all' if user is None else user}"
    folder.mkdir(0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or (user is not None and (found.st_uid != user or found.st_mode & 0o077)):
        raise OSError(f"{folder} is not a folder of this user's alone")
    return folder

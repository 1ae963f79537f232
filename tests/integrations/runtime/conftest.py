"""Every reply in these tests has a state that refuses moves outside its tables."""

from __future__ import annotations

import pytest

from poeproto_runtime.reply import task

from ...support.reply_state import CheckedState


@pytest.fixture(autouse=True)
def checked_states(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task, "ReplyState", CheckedState)

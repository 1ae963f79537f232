"""The tests here run as those of the integrations do."""

from ..integrations.conftest import anyio_backend, deadline, logs_of_loop_watch

__all__ = ["anyio_backend", "deadline", "logs_of_loop_watch"]

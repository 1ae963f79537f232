"""The tests here run as those of the integrations do."""

from ..integrations.conftest import anyio_backend, deadline

__all__ = ["anyio_backend", "deadline"]

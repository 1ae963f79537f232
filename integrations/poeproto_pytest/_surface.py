"""The public names of `poeproto_pytest`, which its `__init__` imports at the first use of one."""

from __future__ import annotations

from poeproto.extras import missing_extra

if (
    _missing := missing_extra(
        "poeproto_pytest", "pytest", ["pytest", "anyio", "h11", "truststore", "hypercorn", "python_multipart"]
    )
) is not None:
    raise _missing

from poeproto_pytest import (
    assertions,
    fixture_types,
    memory_network,
    network_block,
    observed_reply,
    replayed_calls,
    simulated_poe,
)
from poeproto_pytest.assertions import *
from poeproto_pytest.fixture_types import *
from poeproto_pytest.memory_network import *
from poeproto_pytest.network_block import *
from poeproto_pytest.observed_reply import *
from poeproto_pytest.replayed_calls import *
from poeproto_pytest.simulated_poe import *

__all__: list[str] = []
__all__ += assertions.__all__
__all__ += fixture_types.__all__
__all__ += memory_network.__all__
__all__ += network_block.__all__
__all__ += observed_reply.__all__
__all__ += replayed_calls.__all__
__all__ += simulated_poe.__all__

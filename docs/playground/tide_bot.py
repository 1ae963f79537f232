"""The bot of the playground's pictures. Talk to it with: poeproto play docs/playground/tide_bot.py:bot --name Tide"""

import logging
from collections.abc import AsyncIterator

import anyio

from poeproto import (
    Bot,
    Comparison,
    ConditionalControls,
    Context,
    Control,
    DropDown,
    DropDownOption,
    Event,
    LiteralValue,
    ParameterControls,
    ParameterValue,
    QueryRequest,
    Section,
    SettingsRequest,
    SettingsResponse,
    Slider,
    SuggestedReply,
    ToggleSwitch,
)

ANSWER = """\
Low water at **Porthleven** is in the afternoon today. The causeway is dry for about three hours:

| tide | time | height |
|:-----|-----:|-------:|
| high | 09:12 | 5.4 m |
| low  | 15:31 | 0.9 m |
| high | 21:48 | 5.2 m |

The height in between follows the *rule of twelfths*:

```python
TWELFTHS = [1, 2, 3, 3, 2, 1]

def height(hour: int, low: float = 0.9, high: float = 5.4) -> float:
    return high - (high - low) * sum(TWELFTHS[:hour]) / 12
```

> Leave the island half an hour before the water is at the causeway.
"""


class TideBot(Bot):
    async def get_response(self, request: QueryRequest, context: Context) -> AsyncIterator[Event | str]:
        logging.getLogger("tide").info("asked for %r", request.query[-1].content)
        for word in ANSWER.split(" "):
            yield f"{word} "
            await anyio.sleep(0.012)
        for reply in ("When is it tomorrow?", "Show the curve"):
            yield SuggestedReply(reply)

    async def get_settings(self, request: SettingsRequest, context: Context) -> SettingsResponse:
        harbours = [DropDownOption("porthleven", "Porthleven"), DropDownOption("st-ives", "St Ives")]
        warning = ConditionalControls(
            condition=Comparison(comparator="eq", left=ParameterValue("warn"), right=LiteralValue(literal=True)),
            controls=[
                Slider(
                    label="Minutes before",
                    parameter_name="minutes",
                    min_value=5,
                    max_value=60,
                    step=5,
                    default_value=30,
                )
            ],
        )
        controls: list[Control] = [
            DropDown(label="Harbour", parameter_name="harbour", options=harbours, default_value="porthleven"),
            ToggleSwitch(label="Warn me", parameter_name="warn", default_value=True),
            warning,
        ]
        return SettingsResponse(
            introduction_message="I know the **tides** of Cornwall. Where are you?",
            parameter_controls=ParameterControls([Section(controls=controls)]),
        )


bot = TideBot()

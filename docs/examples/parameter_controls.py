"""A bot with parameter controls of every kind, whose answer shows their values.

Serve it with: poeproto serve docs/examples/parameter_controls.py:bot --access-key ...
"""

from collections.abc import AsyncIterator

from poeproto import (
    AspectRatio,
    AspectRatioOption,
    Bot,
    Comparison,
    ConditionalControls,
    Context,
    Divider,
    DropDown,
    DropDownOption,
    LiteralValue,
    ParameterControls,
    ParameterValue,
    QueryRequest,
    Section,
    SettingsRequest,
    SettingsResponse,
    Slider,
    Tab,
    TextArea,
    TextField,
    ToggleSwitch,
)

# Poe silently drops all controls if one is invalid. An invalid value, a default out of range for example, raises here.
CARD = Section(
    name="Card",
    controls=[
        AspectRatio(
            label="Format",
            parameter_name="format",
            options=[AspectRatioOption(width=3, height=2), AspectRatioOption(width=1, height=1, value="square")],
            default_value="3:2",
        ),
        Divider(),
        TextField(label="To", parameter_name="recipient", placeholder="Whom it is for"),
        TextArea(label="Below your text", parameter_name="closing", default_value="Love from the sea"),
    ],
)
SENDING = Section(
    name="Sending",
    collapsed_by_default=True,
    tabs=[
        Tab(
            name="Stamp",
            controls=[
                DropDown(
                    label="Stamp",
                    parameter_name="stamp",
                    options=[DropDownOption("whale", "A whale"), DropDownOption("gull", "A gull")],
                    default_value="whale",
                )
            ],
        ),
        Tab(
            name="Way",
            controls=[
                ToggleSwitch(label="By air", parameter_name="by_air", default_value=False),
                ConditionalControls(  # shown only while the switch is on
                    condition=Comparison(
                        comparator="eq", left=ParameterValue("by_air"), right=LiteralValue(literal=True)
                    ),
                    controls=[
                        Slider(
                            label="Days it may take",
                            parameter_name="days",
                            min_value=1,
                            max_value=7,
                            step=1,
                            default_value=3,
                        )
                    ],
                ),
            ],
        ),
    ],
)


class PostcardBot(Bot):
    async def get_response(self, request: QueryRequest, context: Context) -> AsyncIterator[str]:
        message = request.query[-1]
        # A message that was not sent with the controls may lack a parameter, or have one of another type.
        chosen = message.parameters
        yield f"To {chosen.get('recipient') or 'whoever finds it'}:\n{message.content}\n"
        yield f"{chosen.get('closing', 'Love from the sea')}\n"
        yield f"({chosen.get('format', '3:2')}, with a {chosen.get('stamp', 'whale')} on the stamp, "
        yield f"by air in {chosen.get('days', 3)} days)" if chosen.get("by_air") is True else "by ship)"

    async def get_settings(self, request: SettingsRequest, context: Context) -> SettingsResponse:
        return SettingsResponse(parameter_controls=ParameterControls([CARD, SENDING]))


bot = PostcardBot()

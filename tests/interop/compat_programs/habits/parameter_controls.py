from __future__ import annotations

from collections.abc import AsyncIterable

import poeproto_compat as fp


class PainterBot(fp.PoeBot):
    async def get_response(self, request: fp.QueryRequest) -> AsyncIterable[fp.PartialResponse]:
        chosen = request.query[-1].parameters
        yield fp.PartialResponse(text=f"{chosen.get('style', 'oil')}, {chosen.get('steps', 10)} steps")

    async def get_settings(self, setting: fp.SettingsRequest) -> fp.SettingsResponse:
        return fp.SettingsResponse(
            parameter_controls=fp.ParameterControls(
                sections=[
                    fp.Section(
                        name="Painting",
                        controls=[
                            fp.DropDown(
                                label="Style",
                                parameter_name="style",
                                default_value="oil",
                                options=[
                                    fp.ValueNamePair(value="oil", name="Oil"),
                                    fp.ValueNamePair(value="ink", name="Ink"),
                                ],
                            ),
                            fp.ConditionallyRenderControls(
                                condition=fp.ComparatorCondition(
                                    comparator="eq",
                                    left=fp.ParameterValue(parameter_name="style"),
                                    right=fp.LiteralValue(literal="oil"),
                                ),
                                controls=[
                                    fp.Slider(
                                        label="Steps",
                                        parameter_name="steps",
                                        min_value=1,
                                        max_value=50,
                                        step=1,
                                        default_value=10,
                                    )
                                ],
                            ),
                        ],
                    ),
                    fp.Section(
                        tabs=[
                            fp.Tab(
                                name="Words",
                                controls=[
                                    fp.TextField(label="Title", parameter_name="title"),
                                    fp.TextArea(label="Story", parameter_name="story", placeholder="Once"),
                                    fp.Divider(),
                                    fp.ToggleSwitch(label="Signed", parameter_name="signed", default_value=True),
                                    fp.AspectRatio(
                                        label="Shape",
                                        parameter_name="shape",
                                        options=[fp.AspectRatioOption(value="wide", width=16, height=9)],
                                    ),
                                ],
                            )
                        ]
                    ),
                ]
            )
        )


def main():
    return fp.make_app(PainterBot(), access_key="0123456789abcdef0123456789abcdef", bot_name="Program")

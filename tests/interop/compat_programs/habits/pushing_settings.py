import poeproto_compat as fp
from poeproto_compat.client import sync_bot_settings

settings = fp.SettingsResponse(introduction_message="naïve", server_bot_dependencies={"Model": 3})
sync_bot_settings("Program", "0123456789abcdef0123456789abcdef", settings=settings.model_dump())
fp.client.sync_bot_settings("Program", access_key="0123456789abcdef0123456789abcdef", settings=settings.dict())
try:
    fp.sync_bot_settings("Nobody", "0123456789abcdef0123456789abcdef", settings={})
except fp.BotError:
    print("refused")

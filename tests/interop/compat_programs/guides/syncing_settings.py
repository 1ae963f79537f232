import poeproto_compat as fp

bot_name = "Program"
access_key = "0123456789abcdef0123456789abcdef"

fp.sync_bot_settings(bot_name, access_key)

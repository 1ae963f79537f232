"""fastapi_poe's programming interface on poeproto: `import poeproto_compat as fp`."""

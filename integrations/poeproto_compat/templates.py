"""The templates of messages that hold the content of attachments, under fastapi_poe's names and placeholders.

The sentences are poeproto's own, those of `poeproto.conversation.AttachmentTemplates`.
"""

from __future__ import annotations

__all__ = ["IMAGE_VISION_ATTACHMENT_TEMPLATE", "TEXT_ATTACHMENT_TEMPLATE", "URL_ATTACHMENT_TEMPLATE"]

TEXT_ATTACHMENT_TEMPLATE = (
    "The user attached the file {attachment_name}. This is its content:\n\n{attachment_parsed_content}"
)
URL_ATTACHMENT_TEMPLATE = (
    "The user attached the web page {attachment_name}. This is its content, to be used in your answer:\n\n{content}"
)
IMAGE_VISION_ATTACHMENT_TEMPLATE = (
    "The user attached the image {filename}. You cannot see it, but this is what it shows:\n\n"
    "{parsed_image_description}\n\n"
    "Answer as if you had looked at it, in the language of the next message, without a word about this description."
)

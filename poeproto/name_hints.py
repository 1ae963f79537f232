"""Hints for names that a package does not have: the package that has them, and our names for those of fastapi_poe.

The module `__getattr__` of each package (PEP 562) raises the error that `missing_name` returns. For a name with a hint
that is an ImportError, because ``from poeproto import Client`` replaces an AttributeError by a message of its own.
"""

from __future__ import annotations

import sys

__all__ = ["missing_name"]

# The first package that has a name is the one to import it from.
PLACES: dict[str, frozenset[str]] = {
    package: frozenset(names.split())
    for package, names in {
        "poeproto_asgi": (
            "AccessKeyMissing AppOptions BotApp FetchPolicy Hook Hooks LifespanFailed Observation Outcome Route"
            " TargetError TargetFailed load_app run serve"
        ),
        "poeproto_h11": (
            "BlockingClient BlockingReply BotResponse ByteStream CallHook CallHooks CallObservation Client Connector"
            " EventHook ExtraHeaders HasService HeadersOfCall Origin ProxyFailed ProxyOption Reply ServerLimits"
            " Timeouts failure_reason get_bot_response get_bot_response_sync get_final_response"
            " get_final_response_sync h11_reason make_outbound split_url"
        ),
        "poeproto_httpx": "HttpxClient HttpxTransport Session",
        "poeproto_record": (
            "End FORMAT_VERSION KEPT_HEADERS NoRecordedExchange Recorded RecordedData RecordedEnd"
            " RecordedExchange RecordedHead RecordedReplies RecordedRequest RecordedRequestData Recording"
            " RecordingError RecordingHeader RecordingLimits RecordingReader RecordingWriter Redaction Redactor"
            " ReplayMatch StreamRedactor decode_header decode_record encode_header encode_record har_entry har_log"
            " load_recording read_exchanges recording_schema"
        ),
        "poeproto_simulator": (
            "Account BotQuery Canned Charge Conversation Echo Fault Faults HTTPError LogEntry Poe ReceivedFile"
            " ReceivedReply RegisteredBot Replayed Scripted Simulator ToolCaller"
        ),
        "poeproto_playground": "PlayedBot Playground",
        "poeproto_check": (
            "BaselineError BotEnding CheckOptions CheckReport CheckTimes Ending Exchange FORMATS NoSuchRule"
            " NothingToCheck Plan Probe ProbeContext Problem RawConnection Result ServerAddress Transfer Verdict"
            " WATCH_HEADER apply_baseline check limits_of parse_baseline plan select_rules"
        ),
        "poeproto_openai": ("GatewayBot MAPPING MappingRow OpenAIBot OpenAIGateway RateCard UpstreamBot openai_target"),
        "poeproto_load": (
            "Arrivals Histogram LoadResult PERCENTILES ReplyOutcome ReplySample SLO format_duration parse_duration"
            " parse_slo percentiles planned_starts"
        ),
        "poeproto_locust": (
            "BotUnreachable ErrorEventReceived LoadRun LoadTally PoeUser QueryRefused ReplyDisconnected ReplyFailed"
            " ReplyIncomplete ReplyInvalid ReplyTimedOut UserConversation UserReply load_run_of"
        ),
        "poeproto_pytest": (
            "AsgiApp BotCall BotFactory MemoryClient MemoryNetwork MemoryPoe NetworkBlocked ObservedBot"
            " ObservedReply RecordMode RecordingFactory ReplayedCalls TimedEvent assert_calls assert_charged"
            " assert_duration assert_events assert_failed assert_finding assert_first_event_within"
            " assert_gaps_within assert_no_findings assert_succeeded assert_text network_blocked"
        ),
        "poeproto_otel": (
            "ATTRIBUTES HasBotService HasCallHooks Instrument METRICS Metric SPAN_EVENTS instrument"
            " record_token_usage uninstrument"
        ),
        "poeproto_runtime": "ActiveReplies BotService Channel ClientDisconnected Outbound rare_collections",
        "poeproto.auth": "access_key_set bearer_key key_matches",
        "poeproto.conversation": "AttachmentTemplates alternate_roles insert_attachments reduce_to_specification",
        "poeproto.flows": (
            "Answer CallBudget CloseResponse CostExchange CustomCall CustomCallDelta CustomToolDefinition Deliver"
            " Effect Flow FunctionCallDelta PartialReply ReceiveData ReplyStarted RunTools SendRequest SurrogateJoiner"
            " ToolCallAggregator ToolFunctions UploadSource UploadedFile Wait as_tool_call as_tool_definition"
            " authorize_cost_request call_flow capture_cost_request cost_flow delta_text fetch_settings_request"
            " parse_arguments prepare_call query_flow read_settings_sync read_upload report_flow settings_flow"
            " tool_as_dict tool_call_deltas tool_content tool_error tool_result tool_rounds_flow tools_by_name"
            " update_settings_request upload_by_url_request upload_flow upload_request"
        ),
        "poeproto.http": (
            "ACCEPT_IDENTITY BodyWriter DEFAULT_PORTS HeaderPairs Headers RateLimit SECRET_KEYS SearchedText"
            " SecretSpellings StreamedBody cut_occurrence disjoint_spans longest_spelling normalise_headers rate_limit"
            " refusal retry_after_seconds without_key without_path"
        ),
        "poeproto.identifiers": "check_identifier is_identifier make_identifier",
        "poeproto.lint": (
            "EDITIONS Finding Level MESSAGE_RULES NEEDS RULES ReplyLint ReplyQuota Rule SECTIONS SERVER_RULES"
            " has_stack_trace lint_event lint_request lint_request_head lint_settings"
        ),
        "poeproto.markdown": "create_bot_url inline_reference make_inline_ref markdown_image markdown_link",
        "poeproto.reactions": "ReactionChange normalise_reaction reaction_change",
        "poeproto.schemas": "event_payload event_schema request_schema settings_payload settings_schema",
        "poeproto.testing": (
            "ExchangePair FlowDriver ResponseInParts TEST_ACCESS_KEY bytewise cut_at sample_query sample_reply"
            " sample_settings two_way_splits"
        ),
    }.items()
}

# Names of fastapi_poe 0.0.83, and our replacement for each.
OTHER_NAMES = {
    "AttachmentHttpResponse": "bytes: Context.fetch_attachment returns the content",
    "AttachmentUploadError": "poeproto.UploadRefused",
    "AttachmentUploadResponse": "poeproto.flows.UploadedFile; Context.post_attachment returns a poeproto.File",
    "BaseControl": "poeproto.Control",
    "BaseRequest": "poeproto.Request",
    "BotErrorNoRetry": "poeproto.BotError with event.allow_retry False; a bot sends Error(allow_retry=False, text=...)",
    "ComparatorCondition": "poeproto.Comparison",
    "ConditionallyRenderControls": "poeproto.ConditionalControls",
    "CostRequestError": "poeproto.RequestRefused and poeproto.TransportError",
    "CustomCallDefinition": "poeproto.flows.CustomCall",
    "DataResponse": "poeproto.Data",
    "ErrorResponse": "poeproto.Error",
    "FullControls": "poeproto.Control",
    "FunctionCallDefinition": "poeproto.FunctionCall",
    "FunctionCallDefinitionDelta": "poeproto.flows.FunctionCallDelta",
    "InsufficientFundError": "poeproto.InsufficientFunds",
    "InvalidBotSettings": "poeproto.RemoteProtocolError",
    "InvalidParameterError": "poeproto.LocalProtocolError",
    "LoggingMiddleware": "the hooks of poeproto_asgi.BotApp: on_start, on_first_event, on_end",
    "MessageFeedback": "poeproto.Feedback",
    "MessageReaction": "poeproto.Reaction",
    "MetaResponse": "poeproto.Meta",
    "Number": "poeproto.TextField or poeproto.Slider; the specification has no control of this name",
    "ParametersDefinition": "a dict, the JSON Schema in FunctionDefinition.parameters",
    "PartialResponse": (
        "an event of its own for each kind: poeproto.Text, ReplaceResponse, SuggestedReply, File, Json and Data; a bot"
        " may also yield a string"
    ),
    "PoeBot": "poeproto.Bot, which poeproto_asgi.BotApp serves",
    "ProtocolMessage": "poeproto.Message",
    "RequestContext": "poeproto.Context",
    "ToolCallDefinition": "poeproto.ToolCall",
    "ToolCallDefinitionDelta": "poeproto.ToolCallDelta",
    "ToolResultDefinition": "poeproto.ToolResult",
    "ValueNamePair": "poeproto.DropDownOption",
    "generate_inline_ref": "poeproto.markdown.make_inline_ref",
    "get_filename_from_url": "not needed: uploads by URL take the name from the URL",
    "http_exception_handler": "not needed: the bot server answers errors itself",
    "make_app": "poeproto_asgi.BotApp",
    "run_sync": "poeproto_h11.BlockingClient, whose methods block",
    "stream_request": "poeproto_h11.Client.query, and in a bot Context.query_bot",
    "stream_request_base": "poeproto_h11.Client.query, and in a bot Context.query_bot",
    "sync_bot_settings": "poeproto_h11.Client.sync_settings; with a bot_name, poeproto_asgi.run syncs at startup",
    "upload_file": "poeproto_h11.Client.upload, and in a bot Context.post_attachment",
    "upload_file_sync": "poeproto_h11.BlockingClient.upload",
}


def missing_name(package: str, name: str) -> Exception:
    """The exception for a name that a package does not have, with a hint where there is one."""
    surface = sys.modules.get("poeproto._surface")  # loaded by whoever imports an integration
    places = ["poeproto"] if name in getattr(surface, "__all__", ()) else []
    places += [place for place, names in PLACES.items() if name in names]
    place = next((place for place in places if place != package), None)
    if place is not None:
        hint = f"write: from {place} import {name}"
    elif name in OTHER_NAMES:
        hint = f"fastapi_poe's {name} is here {OTHER_NAMES[name]}"
    else:
        return AttributeError(f"module {package!r} has no attribute {name!r}")
    return ImportError(f"cannot import name {name!r} from {package!r}; {hint}", name=package)

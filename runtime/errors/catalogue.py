"""The error catalogue as data. `docs/errors/` holds one JSON artifact per entry; a test fails when they differ.

`message` is a template; `metadata` names the members the error carries when they are known. `public` says that the raising code means the
error for callers; what an actor's callers really get to see depends on group and code alone (`masked`). `status` is the error's own
status where no route fixes another.
"""

# One error is one row of the table, however long.
# ruff: noqa: E501

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class ErrorSpec:
    """One error of the catalogue."""

    group: str
    code: str
    message: str
    status: int = 500
    public: bool = False
    metadata: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """`group.code`."""
        return f"{self.group}.{self.code}"

    @property
    def actor_status(self) -> int:
        """The HTTP status when an actor makes the error (WIRE-831)."""
        return actor_status(self.group, self.code)

    @property
    def gateway_status(self) -> int:
        """The HTTP status when the gateway makes the error (WIRE-836)."""
        return GATEWAY_STATUS.get(self.name, 400)

    @property
    def masked(self) -> bool:
        """Whether callers get the masked message and no metadata when an actor makes the error (WIRE-833)."""
        return not keeps_text(self.group, self.code)


# Two tables by who makes an error: the same code has another status at the gateway than in an actor (WIRE-831, WIRE-836).
GATEWAY_STATUS: Final = {
    "api.not_found": 404,
    "actor.not_found": 404,
    "guard.no_route": 404,
    "api.unauthorized": 401,
    "api.forbidden": 403,
    "guard.rate_limit": 429,
    "actor.creation_rate_limit": 429,
    "guard.invalid_request_body": 413,
    "guard.upstream_error": 502,
    "guard.routing_error": 502,
    "guard.retry_attempts_exceeded": 502,
    "guard.invalid_response_body": 502,
    "guard.service_unavailable": 503,
    "guard.actor_stopped_while_waiting": 503,
    "guard.tunnel_request_aborted": 503,
    "guard.tunnel_response_closed": 503,
    "guard.actor_ready_timeout": 503,
    "guard.request_timeout": 504,
    "guard.tunnel_message_timeout": 504,
    "guard.gateway_response_start_timeout": 504,
    "envoy.fetch_failed": 500,
    "envoy.actor_not_found": 503,
    "core.internal_error": 500,
}
"""Statuses of gateway-made errors; every other structured one is 400 (WIRE-836)."""

ACTOR_STATUS: Final = {
    "auth.forbidden": 403,
    "actor.action_not_found": 404,
    "actor.not_found": 404,
    "actor.method_not_allowed": 405,
    "actor.action_timed_out": 408,
    "actor.invalid_request": 400,
    "message.incoming_too_long": 400,
    "message.outgoing_too_long": 400,
}
"""Statuses of actor-made errors; group `queue` is 400 and everything else 500 (WIRE-831)."""

# Rows of texts and not calls of a constructor: errors can be compared by eye, and a diff shows what changed of one.
_ROWS: Final[tuple[tuple[str, str, int, bool, str, str], ...]] = (
    # group.code, message, status, public, metadata members, requirement ids
    ("actor.starting", "Actor is starting.", 500, False, "", "TASK-022 START-035 WIRE-212"),
    ("actor.not_ready", "Actor is not ready.", 500, False, "", "TASK-022 TASK-007"),
    ("actor.stopping", "Actor is stopping.", 500, False, "", "TASK-022 SLEEP-022 DESTROY-003"),
    ("actor.destroying", "Actor is destroying.", 500, False, "", "TASK-022 TASK-023"),
    ("actor.shutdown_timeout", "Actor shutdown timed out.", 500, False, "", "TASK-071"),
    ("actor.dropped_reply", "Actor reply channel was dropped without a response.", 500, False, "", "SLEEP-052 WIRE-210"),
    ("actor.overloaded", "Actor channel '{channel}' is overloaded while attempting to {operation} (capacity {capacity}).", 500, False,
     "channel capacity operation", "TASK-003 TASK-004 WIRE-840 WIRE-841 CONN-087"),
    ("actor.panicked", "Actor task panicked while running {operation}.", 500, False, "operation", "TASK-037"),
    ("actor.not_configured", "Actor capability '{component}' is not configured.", 500, False, "component", "TASK-007"),
    ("actor.not_registered", "Actor factory '{actor_name}' is not registered.", 500, False, "actor_name", "START-069"),
    ("actor.callback_timed_out", "callback `{callback_name}` timed out after {duration_ms} ms", 500, False,
     "callback_name duration_ms", "START-068 CONN-020 CONN-021"),
    ("actor.state_mutation_reentrant", "State mutations are not allowed inside onStateChange.", 500, False, "", "RUN-123"),
    ("actor.state_not_enabled",
     ("State not enabled. Must implement `createState` or `state` to use state. "
     "(https://www.rivet.dev/docs/actors/state/#initializing-state)"), 400, True, "", "RUN-210"),
    ("actor.run_handler_unavailable", "Cannot schedule a run wake because this actor does not define a run handler.", 409, True, "", "RUN-012"),
    ("actor.database_not_configured", "database is not configured for this actor", 400, True, "", "RUN-212 DB-102"),
    ("actor.database_client_not_ready", "database client is not ready", 400, True, "", "DB-102"),
    ("actor.state_transaction_conflict",
     "State cannot be mutated by another action while an experimental state-aware database transaction is active.", 409, True, "", "DB-182"),
    ("actor.aborted", "Actor aborted", 500, True, "", "QUEUE-040"),
    ("actor.action_not_found", "Action `{name}` was not found.", 404, True, "", "TASK-101 WIRE-317"),
    ("actor.action_timed_out", "Action timed out", 408, True, "", "TASK-103 WIRE-318"),
    ("actor.method_not_allowed", "Method not allowed", 405, True, "method path", "WIRE-301 TASK-113"),
    ("actor.not_found", "The actor does not exist or was destroyed.", 404, True, "resource id", "WIRE-208 WIRE-300 TASK-022"),
    ("actor.invalid_request", "Invalid request.", 400, False, "", "WIRE-531 HIB-010"),
    ("actor.invalid_state", "The value cannot be stored: {reason}", 500, False, "reason", "RUN-105 CONN-054"),
    ("actor.validation_error", "Validation failed.", 500, False, "issues", "TASK-115 CONN-042 QUEUE-020 EVENT-021"),
    ("actor.destroyed_while_waiting_for_ready", "Actor was destroyed while waiting for ready state.", 400, True, "", "START-052 WIRE-209"),
    ("actor.destroyed_during_creation", "Actor was destroyed during creation.", 400, True, "", "WIRE-090"),
    ("actor.restarting", "Actor is restarting. Retry the request.", 503, False, "retryable phase retryAfterMs", "WIRE-840"),
    ("actor.stopped", "Actor stopped.", 500, False, "", "WIRE-611 RAWWS-032"),
    ("actor.duplicate_key", "Actor key '{key}' already in use for actor '{existing_actor_id}'", 400, True, "existing_actor_id key", "WIRE-083"),
    ("actor.empty_key", "Key label cannot be empty.", 400, True, "", "WIRE-085"),
    ("actor.key_too_large", "Key label too large (max {max_size} bytes): {key_preview}", 400, True, "max_size key_preview", "WIRE-086"),
    ("actor.input_too_large", "Input too large (max {max_size}).", 400, True, "max_size", "WIRE-172"),
    ("actor.no_runner_config_configured",
     ("No runner config with name '{pool_name}' are available in any datacenter for the namespace '{namespace}'. "
     "Validate a provider is listed that matches the requested pool name."), 400, True, "namespace pool_name", "WIRE-087"),
    ("actor.creation_rate_limit", "Too many actors created at once. Try again later.", 400, True, "", "WIRE-091"),
    ("actor.kv_key_not_found", "The KV key does not exist for this actor.", 400, True, "", "WIRE-113"),
    ("actor.workflow_in_flight", "Workflow replay is unavailable while the workflow is currently in flight.", 409, True, "", "WF-215"),
    ("actor.unsupported_websocket_encoding", "Unsupported WebSocket encoding.", 400, False, "", "WIRE-501"),
    ("actor.send_failed", "Failed to send a message to the client.", 500, False, "", "WIRE-540"),
    ("actor.init_error", "Failed to initialize the connection.", 500, False, "", "WIRE-540"),
    ("actor.hibernation_persist_failed", "Failed to persist a hibernating connection.", 500, False, "", "WIRE-540"),
    ("actor.failed_to_start", "Actor failed to start ({actor_id}): {details}", 500, True, "", "WIRE-932"),
    ("actor.internal_error", "An internal error occurred", 500, False, "", "INSP-006"),
    ("action.action_not_found", "Action '{name}' not found.", 404, True, "name", "INSP-054"),
    ("actor_runtime_socket.unsupported", "Actor Runtime Socket is only available on Unix native runtimes.", 400, True, "", "DB-420 WIRE-832"),
    ("actor_runtime_socket.not_enabled", "Experimental Actor Runtime Socket is not enabled for this actor.", 400, True, "", "DB-420 WIRE-832"),
    ("actor_runtime_socket.closed", "Actor Runtime Socket is closed for this actor generation.", 400, True, "", "DB-420 WIRE-832"),
    ("actor_runtime_socket.database_unavailable", "Actor Runtime Socket requires an enabled LocalNative SQLite database.", 400, True, "", "DB-420 WIRE-832"),
    ("api.not_found", "The requested resource was not found", 404, True, "", "WIRE-020"),
    ("api.bad_request", "Request is invalid: {reason}", 400, True, "reason", "WIRE-024"),
    ("api.forbidden", "Access denied", 403, True, "", "WIRE-028"),
    ("api.unauthorized", "Unauthorized", 401, True, "", "WIRE-026"),
    ("auth.forbidden", "Forbidden", 403, True, "", "ACCESS-003"),
    ("client.get_params_failed", "Failed to resolve connection params: {reason}", 500, True, "", "WIRE-961 CONN-045"),
    ("client.connection_open_failed", "Failed to open the connection: {reason}", 500, True, "", "WIRE-961"),
    ("client.timed_out", "Timed out after {seconds} s waiting for {awaited}.", 504, True, "awaited seconds", "WIRE-909 WIRE-964"),
    ("client.overloaded", "{pending} messages of this connection are waiting already.", 503, True, "pending", "WIRE-909"),
    ("config.endpoint_mismatch", "The start request names another endpoint.", 400, True, "", "ENGINE-190"),
    ("config.namespace_mismatch", "The start request names another namespace.", 400, True, "", "ENGINE-190"),
    ("connection.restore_not_found", "Connection to restore was not found.", 500, False, "", "HIB-051"),
    ("core.internal_error", "An internal error occurred", 500, False, "", "WIRE-026 WIRE-315"),
    ("datacenter.not_found", "The provided datacenter does not exist.", 400, True, "", "WIRE-088 WIRE-152"),
    ("depot.database_not_found", "The database does not exist yet.", 500, False, "", "ENGINE-181"),
    ("depot.head_fence_mismatch", "Another generation has written to the database.", 500, False, "", "ENGINE-181"),
    ("envoy.actor_not_found", "Actor not found", 503, True, "", "ENGINE-120"),
    ("envoy.fetch_failed", "actor fetch failed", 500, False, "", "WIRE-255"),
    ("envoy.shutdown", "The envoy has shut down.", 500, False, "", "ENGINE-200"),
    ("feature.unsupported", "Unsupported feature: {feature}", 400, False, "feature", "EVENT-022"),
    ("guard.no_route", "No route found for hostname {host}, path {path}.", 404, True, "host path", "WIRE-003"),
    ("guard.missing_header", "Missing {header} header.", 400, True, "header", "WIRE-232 WIRE-240 WIRE-242"),
    ("guard.invalid_header", "Invalid {header} header: {detail}", 400, True, "header detail", "WIRE-231"),
    ("guard.invalid_request_body", "Unable to parse request body: {reason}.", 413, True, "reason", "WIRE-252"),
    ("guard.invalid_response_body", "Unable to parse response body: {reason}.", 502, True, "reason", "RAWHTTP-017"),
    ("guard.actor_ready_timeout",
     ("Timed out waiting for actor to become ready. Ensure that the pool selector is accurate and there are envoys available in the "
     "namespace you created this actor."), 503, True, "actor_id", "WIRE-203"),
    ("guard.actor_wake_retries_exceeded", "Actor {actor_id} stopped before becoming ready after {wake_retries} wake retries: {reason}.", 400, True,
     "actor_id reason wake_retries", "START-062 WIRE-204"),
    ("guard.actor_runner_failed", "Actor runner failed.", 400, True, "", "WIRE-932"),
    ("guard.actor_stopped_while_waiting", "Actor stopped while waiting.", 503, True, "", "WIRE-836"),
    ("guard.service_unavailable", "Service unavailable.", 503, True, "", "WIRE-836"),
    ("guard.rate_limit", "Too many requests to '{method} {path}' from IP {ip}.", 429, True, "method path ip", "WIRE-269"),
    ("guard.request_timeout", "Request timed out.", 504, True, "", "WIRE-836"),
    ("guard.retry_attempts_exceeded", "Retry attempts exceeded.", 502, True, "", "WIRE-836"),
    ("guard.upstream_error", "Upstream error.", 502, True, "", "WIRE-836"),
    ("guard.routing_error", "Routing error.", 502, True, "", "WIRE-836"),
    ("guard.tunnel_request_aborted", "Tunnel request aborted.", 503, True, "", "WIRE-836"),
    ("guard.tunnel_response_closed", "Tunnel response closed.", 503, True, "", "WIRE-836"),
    ("guard.tunnel_message_timeout", "Tunnel message timed out.", 504, True, "", "WIRE-836"),
    ("guard.gateway_response_start_timeout", "Timed out waiting for the response to start.", 504, True, "", "WIRE-836"),
    ("guard.websocket_closed_before_open", "WebSocket closed before it was open.", 400, True, "", "WIRE-503"),
    ("guard.websocket_open_timeout", "Timed out opening the WebSocket.", 400, True, "", "WIRE-263"),
    ("guard.websocket_pending_limit_reached", "Too much unacknowledged WebSocket data.", 400, True, "", "HIB-024 WIRE-630"),
    ("guard.websocket_garbage_collected", "WebSocket messages were not acknowledged in time.", 400, True, "", "HIB-024"),
    ("guard.must_use_regional_host", "This datacenter has to be addressed by its own host name.", 400, True, "", "ENGINE-010"),
    ("guard.websocket_service_hibernate", "The socket goes to sleep with its actor.", 400, True, "", "HIB-025"),
    ("guard.websocket_tunnel_ping_timeout", "The host of the actor does not answer.", 400, True, "", "ENGINE-137"),
    ("guard.websocket_tunnel_subscription_closed", "WebSocket messages were not acknowledged in time.", 400, True, "", "ENGINE-142"),
    ("guard.query_path_token_syntax", "query gateway paths must not use @token syntax", 400, True, "", "WIRE-229"),
    ("guard.query_empty_actor_name", "query gateway actor name must not be empty", 400, True, "", "WIRE-229"),
    ("guard.query_duplicate_param", "duplicate query gateway param: {name}", 400, True, "name", "WIRE-229"),
    ("guard.query_invalid_params", "invalid query gateway params: {detail}", 400, True, "detail", "WIRE-229"),
    ("guard.query_get_disallowed_params",
     "query gateway method=get does not allow rvt-input, rvt-region, rvt-crash-policy, or rvt-pool params", 400, True, "", "WIRE-229"),
    ("guard.query_missing_pool", "query gateway method=getOrCreate requires rvt-pool param", 400, True, "", "WIRE-229"),
    ("guard.query_invalid_base64_input", "invalid base64url in query gateway input", 400, True, "", "WIRE-229"),
    ("guard.query_invalid_cbor_input", "invalid query gateway input cbor: {detail}", 400, True, "detail", "WIRE-229"),
    ("guard.query_invalid_percent_encoding", "invalid percent-encoding for query gateway param '{name}'", 400, True, "name", "WIRE-229"),
    ("inspector.unauthorized", "Inspector request requires a valid bearer token", 401, True, "", "INSP-014"),
    ("inspector.invalid_protocol_version", "Inspector protocol version is invalid", 400, True, "", "INSP-132"),
    ("inspector.init_error", "Inspector could not build its first message", 500, True, "", "INSP-134"),
    ("inspector.runtime_missing", "Inspector is not available on this actor", 500, True, "", "INSP-134"),
    ("inspector.schedules_dropped", "Inspector message about schedules cannot be expressed in this protocol version", 500, True, "", "INSP-171"),
    ("inspector.workflow_history_dropped", "Inspector message about workflow history cannot be expressed in this protocol version", 500, True, "", "INSP-171"),
    ("inspector.database_dropped", "Inspector message about the database cannot be expressed in this protocol version", 500, True, "", "INSP-171"),
    ("inspector.queue_dropped", "Inspector message about the queue cannot be expressed in this protocol version", 500, True, "", "INSP-171"),
    ("inspector.trace_dropped", "Inspector message about traces cannot be expressed in this protocol version", 500, True, "", "INSP-171"),
    ("inspector.events_dropped", "Inspector message about events cannot be expressed in this protocol version", 500, True, "", "INSP-171"),
    ("inspector.ui_asset_not_found", "Inspector UI asset was not found", 404, True, "", "INSP-008"),
    ("inspector.custom_tab_not_found", "Inspector custom tab was not found", 404, True, "", "INSP-008"),
    ("inspector.custom_tab_asset_not_found", "Inspector custom tab asset was not found", 404, True, "", "INSP-008"),
    ("kv.key_too_large", "Key is too large ({size} bytes). Limit is {limit} bytes.", 400, True, "size limit", "KV-022"),
    ("kv.value_too_large", "Value is too large ({size} bytes). Limit is {limit} bytes.", 400, True, "size limit", "KV-023"),
    ("kv.invalid_argument", "Invalid key-value argument: {reason}", 400, True, "reason", "KV-022"),
    ("message.incoming_too_long", "Incoming message too long", 400, True, "", "WIRE-314 WIRE-529"),
    ("message.outgoing_too_long", "Outgoing message too long", 400, True, "", "WIRE-319 WIRE-530"),
    ("message.invalid_utf8", "Text message is not valid UTF-8", 400, True, "", "WIRE-605"),
    ("napi.invalid_argument", "Invalid native argument '{argument}': {reason}", 500, False, "argument reason", "KV-020 TASK-210 QUEUE-032"),
    ("namespace.not_found", "The namespace does not exist.", 400, True, "", "WIRE-023"),
    ("namespace.name_not_unique", "Namespace name must be unique.", 400, True, "", "WIRE-121"),
    ("namespace.failed_to_create", "Failed to create namespace: {reason}", 400, True, "reason", "WIRE-121"),
    ("pegboard.route_resolve_query_timeout", "Timed out resolving the actor query.", 400, True, "", "WIRE-090"),
    ("queue.full", "Queue is full. Limit is {limit} messages.", 400, True, "limit", "QUEUE-010"),
    ("queue.message_too_large", "Queue message too large ({size} bytes). Limit is {limit} bytes.", 400, True, "size limit", "QUEUE-010"),
    ("queue.message_invalid", "Queue message is invalid.", 400, True, "", "WIRE-832"),
    ("queue.invalid_payload", "Queue payload is invalid.", 400, True, "", "WIRE-832"),
    ("queue.invalid_completion_payload", "Queue completion payload is invalid.", 400, True, "", "WIRE-832"),
    ("queue.timed_out", "Queue wait timed out after {timeout_ms} ms.", 400, True, "timeout_ms", "QUEUE-033"),
    ("queue.already_completed", "Queue message was already completed.", 400, True, "", "QUEUE-055"),
    ("queue.previous_message_not_completed",
     "Previous completable queue message is not completed. Call `message.complete(...)` before receiving the next message.", 400, True, "",
     "QUEUE-053 WF-099"),
    ("queue.complete_not_configured", "Queue '{name}' does not support completion responses.", 400, True, "name", "QUEUE-056"),
    ("queue.message_identity_mismatch", "Queue message {id} is named '{actual}', not '{expected}'.", 400, False, "id actual expected", "QUEUE-058"),
    ("queue.completion_waiter_dropped", "Queue completion waiter dropped before response", 400, False, "", "QUEUE-066"),
    ("queue.invalid_argument", "Invalid queue argument: {reason}", 400, False, "reason", "QUEUE-032"),
    ("request.invalid", "Request is invalid: {reason}", 400, True, "reason", "ENGINE-190"),
    ("rivetkit.internal_error", "An internal error occurred", 500, False, "", "TASK-106 WIRE-830"),
    ("schedule.max_schedules_exceeded", "Actor has reached its limit of {maximum} pending schedules.", 400, True, "maximum", "TASK-209"),
    ("schedule.invalid_name", "Schedule name is invalid: {reason}", 400, True, "reason", "TASK-300"),
    ("schedule.invalid_cron_expression", "Cron expression is invalid: {reason}", 400, True, "reason", "TASK-301"),
    ("schedule.invalid_timezone", "Schedule timezone '{timezone}' is invalid.", 400, True, "timezone", "TASK-301"),
    ("schedule.invalid_interval", "Schedule interval must be at least {minimum_ms} ms; received {interval_ms} ms.", 400, True,
     "interval_ms minimum_ms", "TASK-302"),
    ("schedule.invalid_max_history", "Schedule maxHistory must be between 0 and {maximum}; received {max_history}.", 400, True,
     "max_history maximum", "TASK-306"),
    ("schedule.invalid_delay", "Schedule delay must be non-negative; received {delay_ms} ms.", 400, True, "delay_ms", "TASK-210"),
    ("schedule.invalid_schedule_row", "Stored schedule '{schedule_id}' is invalid: {reason}", 400, True, "schedule_id reason", "TASK-307"),
    ("schedule.interrupted", "Scheduled action was interrupted before completion.", 500, True, "", "TASK-308"),
    ("sqlite.closed", "SQLite database is closed.", 500, False, "", "DB-315"),
    ("sqlite.not_configured", "SQLite is not configured.", 500, False, "", "DB-102"),
    ("sqlite.unavailable", "SQLite is unavailable.", 500, False, "", "DB-102"),
    ("sqlite.invalid_bind_parameter", "Invalid SQLite bind parameter {name}: {reason}", 500, False, "name reason", "DB-113 DB-117"),
    ("sqlite.transaction_queue_full", "SQLite transaction queue is full.", 500, False, "", "DB-150"),
    ("sqlite.transaction_expired",
     ("SQLite transaction expired after {timeout_ms} ms and was rolled back; this timeout is a deadlock-safety backstop. Increase the "
     "db.transaction() `timeout` option if the transaction legitimately needs longer, and check for a nested transaction or use of the "
     "outer `db` instead of `tx` inside the callback."), 500, False, "timeout_ms", "DB-164"),
    ("sqlite.transaction_terminal", "SQLite transaction handle `{key}` is already {state}.", 500, False, "", "DB-170"),
    ("sqlite.transaction_unknown", "SQLite transaction handle `{key}` is unknown.", 500, False, "", "DB-171"),
    ("sqlite.transaction_closed", "SQLite transaction coordinator is closed.", 500, False, "", "DB-172 KV-033"),
    ("sqlite.transaction_invalid_argument", "Invalid SQLite transaction argument: {reason}", 500, False, "reason", "DB-162"),
    ("sqlite.transaction_connection_lost", "SQLite transaction connection was lost.", 500, False, "", "DB-403"),
    ("sqlite.invalid_request", "SQLite request is invalid: {reason}", 500, False, "reason", "ENGINE-181"),
    ("sqlite.remote_execution_failed", "Remote SQLite execution failed: {detail}", 500, False, "message", "DB-401 ENGINE-181"),
    ("sqlite.remote_indeterminate_result", "The connection was lost while a SQLite statement was running; it may or may not have run.", 500, False, "",
     "DB-402 ENGINE-181"),
    ("sqlite.remote_unavailable", "Remote SQLite is unavailable.", 500, False, "", "DB-404 ENGINE-042"),
    ("validation.too_many_actor_ids", "Too many actor IDs provided. Maximum is {max}, got {count}", 400, True, "max count", "WIRE-061"),
    ("validation.invalid_input", "{message}", 400, True, "message", "WIRE-062 WIRE-064"),
    ("ws.closed", "Closed by the actor.", 500, False, "", "ENGINE-133"),
    ("ws.connection_closed", "Connection closed.", 500, False, "", "WIRE-262"),
    ("ws.eviction", "Connection evicted.", 500, False, "", "WIRE-262"),
    ("ws.downstream_closed", "The client's transport broke.", 500, False, "", "WIRE-267"),
    ("ws.going_away", "Connection is going away.", 500, False, "", "WIRE-930"),
    ("ws.invalid_packet", "A message of the envoy could not be decoded.", 500, False, "", "ENGINE-124"),
    ("ws.invalid_request", "The parameters of the envoy connection are invalid.", 500, False, "", "ENGINE-033"),
    ("ws.no_runner_config", "The pool has no runner config.", 500, False, "", "ENGINE-033"),
    ("ws.timed_out", "The envoy has not answered in time.", 500, False, "", "ENGINE-055"),
    ("ws.message_index_skip", "A WebSocket message index was skipped.", 500, False, "", "WIRE-627 HIB-031"),
    ("ws.meta_not_found_during_restore", "The socket is unknown to the actor.", 500, False, "", "WIRE-629 HIB-051"),
    ("ws.restore_error", "The socket could not be restored.", 500, False, "", "WIRE-629 HIB-051"),
    ("ws.stale_metadata", "The persisted connection has no socket any more.", 500, False, "", "WIRE-629 HIB-051"),
)  # fmt: skip


def _spec(row: tuple[str, str, int, bool, str, str]) -> ErrorSpec:
    # Split at the first dot: no group has one.
    name, message, status, public, metadata, requirements = row
    group, _, code = name.partition(".")
    return ErrorSpec(group, code, message, status, public, tuple(metadata.split()), tuple(requirements.split()))


CATALOGUE: Final = {spec.name: spec for spec in map(_spec, _ROWS)}
"""Every error by `group.code`."""

# A list of its own beside the flag `public`: raising code says what it means, the protocol what passes, and they differ.
PUBLIC: Final = frozenset({
    "auth.forbidden", "message.incoming_too_long", "message.outgoing_too_long", "actor.not_found", "actor.action_not_found",
    "actor.method_not_allowed", "actor.action_timed_out", "actor.aborted", "queue.full", "queue.message_too_large",
    "queue.message_invalid", "queue.invalid_payload", "queue.invalid_completion_payload", "queue.already_completed",
    "queue.previous_message_not_completed", "queue.complete_not_configured", "queue.timed_out", "actor_runtime_socket.unsupported",
    "actor_runtime_socket.not_enabled", "actor_runtime_socket.closed", "actor_runtime_socket.database_unavailable",
})  # fmt: skip
"""Actor-made errors that keep message and metadata, besides the groups user, kv and schedule (WIRE-832)."""

PUBLIC_GROUPS: Final = frozenset({"user", "kv", "schedule"})
"""Groups of which every code keeps message and metadata (WIRE-832)."""


def actor_status(group: str, code: str) -> int:
    """The HTTP status of an actor-made error (WIRE-831)."""
    # The whole group, also codes that this version does not know.
    return 400 if group == "queue" else ACTOR_STATUS.get(f"{group}.{code}", 500)


def keeps_text(group: str, code: str) -> bool:
    """Whether an actor-made error reaches callers with its message (WIRE-832).

    `actor.overloaded` does too, because retries of queue sends key on its metadata (WIRE-841).
    """
    # By name and not by the catalogue: user code raises errors that no catalogue holds.
    name = f"{group}.{code}"
    return group in PUBLIC_GROUPS or name in PUBLIC or name == "actor.overloaded"

"""Names: the attributes, events and metrics of telemetry, under the names that others look for.

`messaging.*`, `cloudevents.*`, `error.*` and `exception.*` are OpenTelemetry's semantic
conventions. `cloudevents.arvo.*`, `arvo.span.kind`, `arvo.handler.*`, `arvo.contract.*` and
`openinference.span.kind` are those of the TypeScript packages, so that one dashboard shows both. A
test compares the first with the conventions.
"""

from typing import Final

SCOPE: Final = "arvo"
SCHEMA_URL: Final = "https://opentelemetry.io/schemas/1.44.0"

# Messaging.
SYSTEM: Final = "messaging.system"
OPERATION: Final = "messaging.operation.name"
OPERATION_TYPE: Final = "messaging.operation.type"
DESTINATION: Final = "messaging.destination.name"
MESSAGE_ID: Final = "messaging.message.id"
CONVERSATION_ID: Final = "messaging.message.conversation_id"
BATCH_COUNT: Final = "messaging.batch.message_count"
BODY_SIZE: Final = "messaging.message.body.size"

# CloudEvents.
EVENT_ID: Final = "cloudevents.event_id"
EVENT_SOURCE: Final = "cloudevents.event_source"
EVENT_SPEC_VERSION: Final = "cloudevents.event_spec_version"
EVENT_SUBJECT: Final = "cloudevents.event_subject"
EVENT_TYPE: Final = "cloudevents.event_type"

# Errors.
ERROR_TYPE: Final = "error.type"
EXCEPTION: Final = "exception"
EXCEPTION_TYPE: Final = "exception.type"
EXCEPTION_MESSAGE: Final = "exception.message"
EXCEPTION_STACKTRACE: Final = "exception.stacktrace"

# The name of a logger of `logging`.
LOGGER: Final = "arvo.logger"

# Who acts.
ENDUSER: Final = "enduser.id"

# The reference's.
EVENT_TIME: Final = "cloudevents.event_time"
EVENT_CONTENT_TYPE: Final = "cloudevents.event_datacontenttype"
EVENT_DATASCHEMA: Final = "cloudevents.event_dataschema"
EVENT_TO: Final = "cloudevents.arvo.event_to"
EVENT_REDIRECT_TO: Final = "cloudevents.arvo.event_redirectto"
EVENT_UNITS: Final = "cloudevents.arvo.event_executionunits"
EVENT_PARENT: Final = "cloudevents.arvo.event_parentid"
EVENT_DOMAIN: Final = "cloudevents.arvo.event_domain"
SPAN_KIND: Final = "arvo.span.kind"
OPENINFERENCE_KIND: Final = "openinference.span.kind"
HANDLER: Final = "arvo.handler.source"
EXECUTION_TYPE: Final = "arvo.handler.execution.type"
EXECUTION_STATUS: Final = "arvo.handler.execution.status"
CONTRACT_URI: Final = "arvo.contract.uri"
CONTRACT_VERSION: Final = "arvo.contract.version"
PARSED_NAME: Final = "arvo.parsed.subject.orchestrator.name"
PARSED_VERSION: Final = "arvo.parsed.subject.orchestrator.version"
LOG: Final = "log"
LOG_SEVERITY: Final = "log.severity"
LOG_MESSAGE: Final = "log.message"

# Ours.
ATTEMPT: Final = "arvo.delivery.attempt"
OUTCOME: Final = "arvo.outcome"
LINK: Final = "arvo.link"
STEP_SECONDS: Final = "arvo.step.seconds"
FUNCTION: Final = "arvo.function"
VERB: Final = "arvo.verb"
WORKFLOW_SUBJECT: Final = "arvo.workflow.subject"
WORKFLOW_ID: Final = "arvo.workflow.id"
WORKFLOW_TYPE: Final = "arvo.workflow.type"
WORKFLOW_VERSION: Final = "arvo.workflow.version"
WORKFLOW_STATUS: Final = "arvo.workflow.status"
WORKFLOW_REVISION: Final = "arvo.workflow.revision"
WORKFLOW_STATE: Final = "arvo.workflow.state"
EVENT_DATA: Final = "arvo.event.data"
EVENTS_DROPPED: Final = "arvo.events.dropped"
STATE: Final = "arvo.state"
TO: Final = "arvo.to"

# Events of a span.
EMIT: Final = "arvo.emit"
TIMER_SET: Final = "arvo.timer.set"
TIMER_CLEARED: Final = "arvo.timer.cleared"
PERSIST: Final = "arvo.persist"
TRANSITION: Final = "arvo.transition"
CONFLICT: Final = "arvo.conflict"
RETRY: Final = "arvo.retry"

# Metrics.
SENT_MESSAGES: Final = "messaging.client.sent.messages"
CONSUMED_MESSAGES: Final = "messaging.client.consumed.messages"
OPERATION_DURATION: Final = "messaging.client.operation.duration"
PROCESS_DURATION: Final = "messaging.process.duration"
DELIVERY_WAIT: Final = "arvo.delivery.wait"
DELIVERIES: Final = "arvo.deliveries"
COMMIT_CONFLICTS: Final = "arvo.commit.conflicts"
EFFECT_DURATION: Final = "arvo.effect.duration"
WORKFLOWS_STARTED: Final = "arvo.workflow.started"
WORKFLOWS_ENDED: Final = "arvo.workflow.ended"
WORKFLOW_DURATION: Final = "arvo.workflow.duration"
QUEUE_DEPTH: Final = "arvo.queue.depth"
DEAD_LETTERS: Final = "arvo.dead_letters"
WORKER_SLOTS: Final = "arvo.worker.slots"
UNAVAILABLE: Final = "arvo.backend.unavailable"
TRANSITIONS: Final = "arvo.statechart.transitions"

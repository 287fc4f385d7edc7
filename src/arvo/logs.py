"""Logs: formatters and a filter for the standard `logging`, which show the fields of records."""

from arvo.interpreters.delivery.log.formatters import EventFields, JsonFormatter, TextFormatter

__all__ = ["EventFields", "JsonFormatter", "TextFormatter"]

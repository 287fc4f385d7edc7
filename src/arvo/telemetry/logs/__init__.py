"""Logs: the lines of the log as records of OpenTelemetry, and what telemetry itself logs."""

"""Runtime: the client, the worker loop, requests, operator commands, and backends by URL."""

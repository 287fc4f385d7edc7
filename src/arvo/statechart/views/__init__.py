"""Views: read-only tools for a chart: diagrams, lint, and paths for tests."""

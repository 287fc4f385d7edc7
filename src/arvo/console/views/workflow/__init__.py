"""Workflow: what the tabs of a workflow's page show."""

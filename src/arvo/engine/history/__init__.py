"""History: replay, revive and migrate a workflow from its record and its history."""

"""XState: the exchange formats: XState v5 configs in and out, and persisted snapshots."""

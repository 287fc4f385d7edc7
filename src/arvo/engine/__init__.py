"""Engine: one pure step, and a whole system run purely.

Rooms, each of which imports only the ones before it: `system` (the handlers of an application),
`step` (decide what one event changes) and `history` (replay, revive and migrate a workflow). The
modules beside them (`run`, `trace`, `query`, …) may import all rooms.
"""

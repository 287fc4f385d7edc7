"""handlers: the kinds of handler, and how each answers an event with commands.

At this level lie the event handler and the resumable workflow, and the parts that all kinds share:
effects, the invocation of a handler's function, and the input of a turn. `compose` combines
functions, `flow` runs generator workflows, `machine` runs statecharts.
"""

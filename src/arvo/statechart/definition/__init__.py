"""Definition: the frozen values that describe a statechart, and the commands and faults it yields.

Nothing here runs a chart or imports from the other rooms of the statechart.
"""

"""Machine: workflows whose course a statechart decides, from the chart to the turn's commands."""

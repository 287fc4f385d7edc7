"""Run every benchmark: `make bench`."""

from benchmarks import durable, flow, statechart, walk

walk.main()
flow.main()
durable.main()
statechart.main()

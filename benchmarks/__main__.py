"""Run every benchmark: `make bench`."""

from benchmarks import flow, statechart, walk

walk.main()
flow.main()
statechart.main()

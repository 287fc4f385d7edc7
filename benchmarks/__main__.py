"""Run every benchmark: `make bench`."""

from benchmarks import statechart, walk

walk.main()
statechart.main()

"""Run every benchmark: `make bench`."""

from benchmarks import durable, flow, nats, postgres, scale, simulation, statechart, walk

walk.main()
flow.main()
durable.main()
nats.main()
statechart.main()
simulation.main()
postgres.main()
scale.main()

"""Run every benchmark: `make bench`."""

from benchmarks import durable, flow, latency, nats, postgres, simulation, statechart
from benchmarks.scale import plan

latency.main()
flow.main()
durable.main()
nats.main()
statechart.main()
simulation.main()
postgres.main()
plan.main()

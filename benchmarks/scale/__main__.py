"""Print the simulation of larger deployments: `python -m benchmarks.scale`."""

from benchmarks.scale import plan

plan.main()

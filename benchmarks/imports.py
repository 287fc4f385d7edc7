"""Imports: the processor time of an import in a new process, in all and beyond its dependencies."""

import subprocess
import sys
from typing import Final

from benchmarks.measure import Side, child

# `-c` and not a module of ours: it would import some of the dependencies first.
WHOLE: Final = """
import json, time
start = time.process_time()
import {module}
print(json.dumps({{"ms": (time.process_time() - start) * 1e3}}))
"""
DEPENDENCIES: Final = """
import sys
import {module}
print(*(name for name in sys.modules if name.partition(".")[0] != {module!r}))
"""
AFTER: Final = """
import importlib
for name in {names!r}.split():
    try:
        importlib.import_module(name)
    except ImportError:
        pass  # an alias that some library puts into sys.modules
"""


def whole(module: str) -> Side:
    """Return a side that imports *module*, and with it all that it needs."""
    return child("-c", WHOLE.format(module=module))


def dependencies_first(module: str) -> Side:
    """Return a side that imports *module* when all modules of others that it needs are there."""
    listing = DEPENDENCIES.format(module=module)
    listed = subprocess.run(
        [sys.executable, "-c", listing], stdout=subprocess.PIPE, text=True, check=True
    )
    return child("-c", AFTER.format(names=listed.stdout) + WHOLE.format(module=module))

"""The example as a program: `python -m docs.examples.orders --help`."""

import sys

try:
    # Inside the `try`: the imports take most of the first second, in which Ctrl-C may come too.
    from docs.examples.orders.program import main

    code = main()
except KeyboardInterrupt:
    sys.stderr.write("stopped\n")
    code = 130
sys.exit(code)

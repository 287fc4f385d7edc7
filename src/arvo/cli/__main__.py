"""Main: entry point of `python -m arvo.cli`."""

import sys

from arvo.cli import main

sys.exit(main())

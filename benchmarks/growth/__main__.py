"""Take one measurement of growth, and print its figures.

python -m benchmarks.growth MEASUREMENT NUMBER
"""

import sys

from benchmarks.growth.measurements import MEASUREMENTS
from benchmarks.measure import print_figures

if __name__ == "__main__":
    print_figures(MEASUREMENTS[sys.argv[1]](int(sys.argv[2])))

"""Check: compare the pure rows with those of the last commit: `make bench-check`.

    python -m benchmarks.check [COMMIT]

The other commit is HEAD, or the one before it where nothing is changed. Counts instructions where
`valgrind` is installed: the counts of two runs differ by less than a hundredth, on a busy machine
as well. Without it, processor time decides, with a wider limit.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Final, final

from attrs import frozen

from benchmarks.page import number

ROOT: Final = Path(__file__).resolve().parent.parent
COUNTED: Final = Path(__file__).with_name("counted.py")
COUNT_RATIO_MAX: Final = 1.10
TIME_RATIO_MAX: Final = 1.25
# Fresh processes of each commit, in turns, when the time decides.
TIME_ROUNDS: Final = 5

# The cost of each row by its name, in instructions or in seconds.
Costs = Mapping[str, float]


@final
@frozen
class Comparison:
    """The rows of both commits: *ratios* of now over before, and rows that one of them lacks."""

    ratios: Mapping[str, float]
    added: tuple[str, ...]
    removed: tuple[str, ...]

    def slower(self, ratio_max: float) -> dict[str, float]:
        """Return the rows whose ratio is above *ratio_max*."""
        return {name: ratio for name, ratio in self.ratios.items() if ratio > ratio_max}


def compare(before: Costs, now: Costs) -> Comparison:
    """Compare the costs of two commits."""
    return Comparison(
        {name: now[name] / before[name] for name in now if name in before},
        tuple(name for name in now if name not in before),
        tuple(name for name in before if name not in now),
    )


def take_turns(
    measure: Callable[[Path], Costs], before: Path, now: Path, rounds: int
) -> tuple[Costs, Costs]:
    """Measure both trees *rounds* times, in turns; return the medians of each."""
    taken: dict[Path, list[Costs]] = {before: [], now: []}
    for _ in range(rounds):
        for tree, costs in taken.items():
            costs.append(measure(tree))
    first, second = (
        {name: median(costs[name] for costs in runs) for name in runs[0]} for runs in taken.values()
    )
    return first, second


def processor_time(tree: Path) -> Costs:
    """Return the seconds of each row of *tree*, in a new process."""
    return _costs(_run(tree, ["time"]))


def instructions(tree: Path) -> Costs:
    """Return the instructions of each row of *tree*, as callgrind counts them."""
    with tempfile.TemporaryDirectory() as folder:
        # The counted calls, and nothing else, run inside this function.
        function = "PyRun_SimpleStringFlags"
        output = _run(
            tree,
            ["instructions"],
            "valgrind",
            "--quiet",
            "--tool=callgrind",
            f"--callgrind-out-file={folder}/out",
            f"--toggle-collect={function}",
            f"--dump-after={function}",
        )
        counts = [
            parse_total((Path(folder) / f"out.{position}").read_text())
            for position in range(1, len(_costs(output)) + 1)
        ]
    return dict(zip(_costs(output), counts, strict=True))


def parse_total(text: str) -> float:
    """Return the total of a file that callgrind wrote."""
    total = re.search(r"^totals: (\d+)$", text, re.MULTILINE)
    assert total is not None, "callgrind wrote no total"
    return float(total[1])


def _costs(output: str) -> Costs:
    costs: Costs = json.loads(output.splitlines()[-1])
    return costs


def _run(tree: Path, arguments: list[str], *tool: str) -> str:
    # -P: the folder of the script, which is of this commit, stays out of the import path.
    command = [*tool, sys.executable, "-P", str(COUNTED), *arguments]
    environment = {
        **os.environ,
        "PYTHONPATH": f"{tree / 'src'}{os.pathsep}{tree}",
        # One order of sets and dicts, so that two runs do the same.
        "PYTHONHASHSEED": "0",
    }
    ended = subprocess.run(
        command, cwd=tree, env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    return ended.stdout


def other_commit(root: Path) -> str:
    """Return the commit to compare with: HEAD, or the one before it if nothing is changed."""
    return "HEAD" if _git(root, "status", "--porcelain", "--untracked-files=no") else "HEAD~1"


@contextmanager
def checked_out(root: Path, commit: str) -> Iterator[Path]:
    """Check *commit* out into a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        _git(root, "worktree", "add", "--quiet", "--detach", str(tree), commit)
        try:
            yield tree
        finally:
            _git(root, "worktree", "remove", "--force", str(tree))


def has_commit(root: Path, commit: str) -> bool:
    """Return False for a first commit, or a clone of one commit alone."""
    command = ["git", "-C", str(root), "rev-parse", "--verify", "--quiet", f"{commit}^{{commit}}"]
    return subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode == 0


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


def report(comparison: Comparison, ratio_max: float) -> Iterator[str]:
    """Yield the lines to print."""
    slower = comparison.slower(ratio_max)
    for name, ratio in comparison.ratios.items():
        yield f"{name:44} {number(ratio):>8}" + (f"  above {ratio_max}" if name in slower else "")
    for name in comparison.added:
        yield f"{name:44} {'new':>8}"
    for name in comparison.removed:
        yield f"{name:44} {'gone':>8}"


def main(commit: str = "") -> int:
    """Compare, print, and return 1 if a row is slower than it may be."""
    commit = commit or other_commit(ROOT)
    if not has_commit(ROOT, commit):
        print(f"there is no {commit}: nothing to compare")
        return 0
    counts = shutil.which("valgrind") is not None
    measure, rounds = (instructions, 1) if counts else (processor_time, TIME_ROUNDS)
    ratio_max = COUNT_RATIO_MAX if counts else TIME_RATIO_MAX
    with checked_out(ROOT, commit) as tree:
        if not (tree / "benchmarks" / "pure.py").exists():
            print(f"{commit} has no pure rows: nothing to compare")
            return 0
        before, now = take_turns(measure, tree, ROOT, rounds)
    comparison = compare(before, now)
    print(f"{'instructions' if counts else 'processor time'}, now ÷ {commit}")
    for line in report(comparison, ratio_max):
        print(line)
    return 1 if comparison.slower(ratio_max) else 0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))

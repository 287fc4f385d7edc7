"""Published: compare a contract with the JSON file that was published for it."""

import json
from pathlib import Path
from typing import Any

from arvo.core.contracts.contract import Contract
from arvo.testing.compatibility.compatible import Side, compatible

UPDATE_HINT = "run pytest --update-contracts to write it"


def check_published(contract: Contract[Any], path: str | Path, *, update: bool = False) -> None:
    """Compare *contract* with the JSON file at *path*, or write the file if *update* is true.

    Raises AssertionError with the breaking changes if they differ, or if the file does not exist.
    """
    __tracebackhide__ = True
    file = Path(path)
    current = json.loads(json.dumps(contract.json_schema()))
    if update:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(current, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        return
    if not file.exists():
        raise AssertionError(f"{contract.uri} has no published file {file}: {UPDATE_HINT}")
    published = json.loads(file.read_text(encoding="utf-8"))
    if published == current:
        return
    sides: tuple[Side, ...] = ("consumer", "producer")
    results = [compatible(published, current, side=side) for side in sides]
    lines = [f"{contract.uri} differs from the published file {file}: {UPDATE_HINT}"]
    lines += [str(result) for result in results]
    if not all(results):
        lines.append("to break neither side, leave this version unchanged and add a new version")
    raise AssertionError("\n".join(lines))

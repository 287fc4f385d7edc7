"""Published: a contract is held against the JSON that others have of it."""

import json
from pathlib import Path
from typing import Any

from arvo.core.contracts.contract import Contract
from arvo.testing.compatibility.compatible import Side, compatible

HOW = "pytest --update-contracts writes it"


def check_published(contract: Contract[Any], path: str | Path, *, update: bool = False) -> None:
    """Hold *contract* against the JSON at *path*; an AssertionError names what has changed.

    With *update* the file is written instead.
    """
    __tracebackhide__ = True
    file = Path(path)
    said = json.loads(json.dumps(contract.json_schema()))
    if update:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(said, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        return
    if not file.exists():
        raise AssertionError(f"{contract.uri} is not published at {file}: {HOW}")
    published = json.loads(file.read_text(encoding="utf-8"))
    if published == said:
        return
    sides: tuple[Side, ...] = ("consumer", "producer")
    found = [compatible(published, said, side=side) for side in sides]
    lines = [f"{contract.uri} is not what {file} says: {HOW}"]
    lines += [str(each) for each in found]
    if not all(found):
        lines.append("to break nobody, leave the version as it is and add another one")
    raise AssertionError("\n".join(lines))

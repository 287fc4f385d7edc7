"""Finding: the result of one check of `arvo doctor`, with its remedy."""

from typing import Literal, TypeAlias, final

from attrs import frozen

State: TypeAlias = Literal["ok", "warning", "failure"]


@final
@frozen
class Finding:
    """The result of the check *name*: its *state*, the text *found*, and a *remedy* if not ok."""

    name: str
    state: State
    found: str
    remedy: str = ""

    def __str__(self) -> str:
        line = f"{self.state:<8} {self.name}: {self.found}"
        return f"{line}\n         remedy: {self.remedy}" if self.remedy else line

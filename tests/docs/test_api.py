"""API: a change of what users may call is seen in review, and meant."""

from pathlib import Path

from docs.site.snapshot import snapshot

FILE = Path(__file__).parents[1] / "data" / "api.txt"


def test_the_public_api_is_as_the_file_has_it() -> None:
    """Its diff shows what a release changes; `make api` writes it anew."""
    now, before = snapshot().splitlines(), FILE.read_text(encoding="utf-8").splitlines()

    changed = [f"- {line}" for line in before if line not in now]
    changed += [f"+ {line}" for line in now if line not in before]

    assert changed == [], "run `make api`, and name the change in CHANGELOG.md"

"""`arvo completion`: a shell completes commands and options by the script that it prints."""

import subprocess
from pathlib import Path

import pytest

from arvo.cli import main


def script_of(shell: str, capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    assert main(["completion", shell]) == 0
    return capsys.readouterr().out


def completions_of(script: Path, *words: str) -> list[str]:
    """Return the words that bash offers for the last of *words*."""
    line = " ".join(f"'{word}'" for word in words)
    command = (
        f"source '{script}'; COMP_WORDS=({line}); COMP_CWORD={len(words) - 1};"
        " $(complete -p arvo | sed 's/.*-F \\([^ ]*\\).*/\\1/'); printf '%s\\n' \"${COMPREPLY[@]}\""
    )
    done = subprocess.run(
        ["/bin/bash", "--noprofile", "--norc", "-c", command],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout.split()


def test_bash_completes_commands_and_options(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also those of a command with commands of its own."""
    script = tmp_path / "arvo.bash"
    script.write_text(script_of("bash", capsys))

    assert completions_of(script, "arvo", "work") == ["workflows"]
    assert completions_of(script, "arvo", "dead-letters", "redr") == ["redrive"]
    assert completions_of(script, "arvo", "history", "--js") == ["--json"]


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_have_a_script(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It names the commands."""
    script = script_of(shell, capsys)

    assert "dead-letters" in script
    assert "completion" in script


def test_a_shell_that_is_not_known_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """The error names those that are."""
    assert main(["completion", "tcsh"]) == 2
    assert "bash" in capsys.readouterr().err


@pytest.mark.parametrize("tokens", [["workflows"], ["describe", "a"], ["dead-letters", "groups"]])
def test_a_missing_backend_is_explained(
    tokens: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the option, the variable, and an example of a URL."""
    monkeypatch.delenv("ARVO_BACKEND", raising=False)

    assert main(tokens) == 2
    assert capsys.readouterr().err == (
        "arvo: no backend is named: give --backend or set ARVO_BACKEND, such as "
        "sqlite:///orders.db or postgresql://user@host/database\n"
    )

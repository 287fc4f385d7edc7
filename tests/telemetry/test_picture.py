"""Picture: the trace on the page of telemetry is what the system shows today."""

import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from docs.pictures import shop_trace

ROOT = Path(__file__).parents[2]
SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("hash_seed", ["0", "1"])
def test_the_picture_is_current(hash_seed: str) -> None:
    """Its program makes the same file each time, in a process of its own: it replaces the clock."""
    ended = subprocess.run(
        [sys.executable, "-m", "docs.pictures.shop_trace", "--check"],
        cwd=ROOT,
        env={"PYTHONHASHSEED": hash_seed, "PYTHONPATH": f"{ROOT}/src"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (ended.returncode, ended.stderr) == (0, "")


def test_the_picture_shows_each_turn_the_effect_and_its_retry() -> None:
    """A reader finds in it what the page says."""
    root = ET.parse(shop_trace.PICTURE).getroot()  # noqa: S314 - our own file
    labels = [text.text or "" for text in root.iter(f"{SVG}text")]

    assert labels.count("process arvo.orc.order.fulfil") == 4
    assert {"send arvo.orc.order.fulfil", "call request_tracking", "answer"} <= set(labels)
    assert [title.text for title in root.iter(f"{SVG}title")].count("arvo.retry") == 1
    # Nothing is drawn outside of it.
    width = float(root.attrib["width"])
    ends = [float(it.get("x", 0)) + float(it.attrib["width"]) for it in root.iter(f"{SVG}rect")]
    assert max(ends) <= width


def test_an_outdated_picture_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the command that makes it anew."""
    monkeypatch.setattr(shop_trace, "PICTURE", tmp_path / "shop-trace.svg")
    shop_trace.PICTURE.write_text("<svg/>")
    monkeypatch.setattr(shop_trace, "record", list)
    monkeypatch.setattr(shop_trace, "lines_of", lambda _: [shop_trace.Line("send x", 0, 0, 1, ())])

    assert shop_trace.main(["--check"]) == 1
    assert "python -m docs.pictures.shop_trace" in capsys.readouterr().err

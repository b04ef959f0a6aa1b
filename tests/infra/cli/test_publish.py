"""What `livelift publish` says when it is done."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.cli import publish as command
from infra.publishing import Published
from schemas.events import EventKind


@pytest.mark.parametrize(
    ("sent", "said"), [(0, "0 outcomes published"), (1, "1 outcome published"), (2, "2 outcomes published")]
)
def test_one_is_one_event(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    sent: int,
    said: str,
) -> None:
    monkeypatch.setattr(command, "publish_lines", lambda *_, **__: Published(sent=sent, bad=0))
    (tmp_path / "lines").touch()
    command.publish(EventKind.OUTCOMES, str(tmp_path / "lines"), None)
    assert capsys.readouterr().out == f"{said}\n"

"""Writes what is made from the catalogue and the panels: ``python -m infra.observability``."""

from __future__ import annotations

from infra.observability.written import files

if __name__ == "__main__":
    for path, content in files().items():
        path.write_text(content, encoding="utf-8")

"""Physics-informed networks: trained on a problem's strong form instead of on solutions."""

from __future__ import annotations

__all__: list[str] = []

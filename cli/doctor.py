"""``pdeinv doctor``: is this machine ready?"""

from __future__ import annotations

from dataclasses import asdict

import typer

from .options import verb
from .terminal import Terminal

__all__ = ["doctor"]


@verb
def doctor(terminal: Terminal) -> None:
    """Check Python, compiler, MPI, FEniCSx, torch, threads and disk; exit 1 if one is broken."""
    from pdeinv.jobs.doctor import examine

    findings = examine()
    broken = [f.name for f in findings if f.status == "broken"]
    rows = [(f.name, f.status, f.detail) for f in findings]
    terminal.result(
        {"ok": not broken, "findings": [asdict(f) for f in findings]},
        terminal.table("doctor", ("piece", "status", "detail"), rows),
    )
    if broken:
        terminal.note(f"broken: {', '.join(broken)}")
        raise typer.Exit(1)

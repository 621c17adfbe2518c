"""``pdeinv invert --predict-gbm``: patients in the layout of PREDICT-GBM to one density each."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .options import Output
from .progress import chain_progress
from .terminal import Terminal

if TYPE_CHECKING:
    from pdeinv.engines.progress import Progress

__all__ = ["predict"]


def predict(terminal: Terminal, source: Path, output: Output, tables: Mapping[str, Any]) -> bool:
    """Invert each patient in a folder and write its density to another.

    Args:
        terminal: shows what was found.
        source: the folder of patients.
        output: the folder of densities.
        tables: of the run file, with its seed.

    Returns:
        Whether all inversions converged.

    Raises:
        PdeinvError: images that cannot be used, or an inversion that failed.
    """
    from pdeinv import extras
    from pdeinv.problems.tumor.predict_gbm import patients, predictions, remaining

    extras.require("nibabel", "--predict-gbm needs")
    found = patients(source)
    left = remaining(found, output.out, overwrite=output.overwrite)
    if len(left) < len(found):
        n = len(found) - len(left)
        terminal.note(f"{n} densities are there and stay as they are; --overwrite makes them anew")
    numbers = [patient.number for patient in left]
    terminal.plan({"out": str(output.out), "patients": ", ".join(numbers)}, output.dry_run)
    with ExitStack() as shown:

        def report(number: str) -> Progress:
            shown.close()
            return shown.enter_context(chain_progress(terminal, f"patient {number}"))

        rows = list(predictions(left, output.out, tables, report))
    columns = ("patient", "converged", "n_forward", "seconds")
    table = terminal.table("densities", columns, [[row[c] for c in columns] for row in rows])
    terminal.result({"out": str(output.out), "patients": rows}, table, str(output.out))
    return all(row["converged"] for row in rows)

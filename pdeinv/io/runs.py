"""The folder beside an output that keeps what a run needs to continue."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any, Literal

from pdeinv.config import dump_toml, read_toml
from pdeinv.errors import ConfigError
from pdeinv.io.atomic import SCRATCH, check_output, remove, sweep, write_text
from pdeinv.io.decided import check_same, decided_before, plain
from pdeinv.io.lock import check_free
from pdeinv.io.marks import ATTRIBUTE, RUN_MARK, check_mark, written_by_pdeinv
from pdeinv.provenance import versions
from pdeinv.system_errors import cannot

__all__ = [
    "FORESEEN",
    "PLAN",
    "check_run_outputs",
    "discard",
    "drop_unless_resumable",
    "keep_configuration",
    "make_run_folder",
    "recalled_seed",
    "remember",
    "resumable",
    "run_folder",
]

CONFIG, DECIDES = "config.toml", "decides.json"
RESUMABLE, PLAN, FORESEEN = ("*.npz", "*.safetensors"), "plan.npz", "foreseen.npz"
"""Files of a run folder that a run can go on from: of engines, rounds and batches, of trainings;
and those among them that only say what is to be done, and what was foreseen before it began."""


def run_folder(out: Path) -> Path:
    """Where the checkpoints of ``out`` live; needed to continue the run, else removable."""
    return out.parent / f"{out.name}.run"


def check_run_outputs(
    out: Path,
    *,
    overwrite: bool,
    resume: bool | None,
    inputs: Iterable[Path] = (),
    kind: Literal["file", "folder"] = "file",
) -> None:
    """Refuse an output or its run folder, as :func:`check_output` says.

    A run folder that nothing can go on from, as a run that was killed in its first seconds leaves,
    stands in nobody's way.

    Raises:
        OutputBusy: another run is writing it, so that no flag helps.
        OutputExists: names the first.
    """
    read = list(inputs)
    check_free(out)
    check_output(out, overwrite=overwrite, resume=resume, inputs=read, kind=kind)
    folder = run_folder(out)
    replaced = overwrite or (written_by_pdeinv(folder) and not resumable(folder))
    check_output(
        folder, overwrite=replaced, resume=resume, inputs=read, kind="folder", room=SCRATCH
    )


def make_run_folder(folder: Path) -> None:
    """Make a run folder with its mark, both at once: the parts of a data set share one.

    Raises:
        OutputExists: there is one already that pdeinv did not make.
        SystemFault: it cannot be made.
    """
    if not written_by_pdeinv(folder):
        try:
            _put(folder)
        except OSError as error:
            raise cannot("make", folder, error) from error
    check_mark(folder)


def _put(folder: Path) -> None:
    """A marked folder in the place of nothing, or of an empty folder."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(mkdtemp(prefix=f".{folder.name}.", dir=folder.absolute().parent))
    try:
        target = scratch / folder.name
        target.mkdir()
        mark = {ATTRIBUTE: versions().get("pdeinv", "unknown"), "kind": "run"}
        (target / RUN_MARK).write_text(json.dumps(mark) + "\n", encoding="utf-8")
        target.rename(folder)
    except OSError:
        if not folder.exists():  # else another process was faster, or it is somebody else's
            raise
    finally:
        rmtree(scratch, ignore_errors=True)


def discard(folder: Path) -> None:
    """Remove a run folder, if it is there.

    Raises:
        OutputExists: pdeinv did not make it.
    """
    if folder.exists() or folder.is_symlink():
        check_mark(folder)
        remove(folder)


def remember(
    folder: Path,
    resolved: Mapping[str, Any],
    *,
    decides: Mapping[str, Any] | None = None,
    resume: bool = False,
) -> None:
    """Make the run folder of a run that begins, or check that of one that goes on.

    Only who owns the output may call this.

    Args:
        folder: the run folder; what an earlier run has left there goes, unless ``resume``.
        resolved: the configuration, which is kept there.
        decides: all that decides the numbers, hashes of files included; None where something else
            guards the folder.
        resume: whether the run goes on with what is there.

    Raises:
        ConfigError: what is there was decided by something else; nothing was changed.
    """
    file = folder / DECIDES
    if resume:
        _check_decided(folder, decides)
    else:
        discard(folder)
    make_run_folder(folder)
    sweep(folder)
    if decides is not None:
        write_text(file, json.dumps(plain(decides)) + "\n")
    keep_configuration(folder, resolved)


def keep_configuration(folder: Path, resolved: Mapping[str, Any]) -> None:
    """Write the resolved configuration into a run folder."""
    write_text(folder / CONFIG, dump_toml(resolved))


def _check_decided(folder: Path, decides: Mapping[str, Any] | None) -> None:
    file = folder / DECIDES
    if decides is None or not file.exists():
        return
    check_same(
        decided_before(file), decides,
        f"checkpoints in {folder} belong to another configuration, seed, data or other input",
    )  # fmt: skip


def recalled_seed(folder: Path) -> int | None:
    """The seed of the run that ``folder`` belongs to, so that a resumed run need not name it.

    Raises:
        ConfigError: the stored configuration is damaged.
    """
    file = folder / CONFIG
    seed = read_toml(file).get("seed") if file.exists() else None
    if seed is not None and not (isinstance(seed, int) and seed >= 0):
        raise ConfigError(f"{file}: seed must be a whole number, got {seed!r}; pass --seed")
    return seed


def resumable(folder: Path) -> bool:
    """Whether there is a checkpoint, a training round or a batch: something to go on from."""
    none = PLAN, FORESEEN
    return any(file.name not in none for kind in RESUMABLE for file in folder.rglob(kind))


def drop_unless_resumable(folder: Path) -> None:
    """Remove a run folder from which nothing could go on."""
    if written_by_pdeinv(folder) and not resumable(folder):
        remove(folder)

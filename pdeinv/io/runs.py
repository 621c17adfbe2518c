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
from pdeinv.foreign import Unreadable, read_text
from pdeinv.io.atomic import SCRATCH, check_output, remove, write_text
from pdeinv.io.lock import check_free
from pdeinv.io.marks import ATTRIBUTE, RUN_MARK, check_mark, written_by_pdeinv
from pdeinv.provenance import versions
from pdeinv.system_errors import cannot

__all__ = [
    "check_run_outputs",
    "discard",
    "drop_unless_resumable",
    "make_run_folder",
    "recalled_seed",
    "remember",
    "run_folder",
]

CONFIG, INPUTS = "config.toml", "inputs.mark"
RESUMABLE = ("*.npz", "*.safetensors")
"""Files of a run folder that a run can go on from: of engines and rounds, of trainings."""


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

    Raises:
        OutputBusy: another run is writing it, so that no flag helps.
        OutputExists: names the first.
    """
    read = list(inputs)
    check_free(out)
    check_output(out, overwrite=overwrite, resume=resume, inputs=read, kind=kind)
    folder = run_folder(out)
    check_output(
        folder, overwrite=overwrite, resume=resume, inputs=read, kind="folder", room=SCRATCH
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
    folder: Path, resolved: Mapping[str, Any], *, mark: str = "", resume: bool = False
) -> None:
    """Keep the resolved configuration in the run folder, which is made if need be.

    Args:
        folder: the run folder.
        resolved: the configuration.
        mark: identifies all that decides the numbers, files included; empty where something else
            guards the folder.
        resume: whether the run goes on with what is there.

    Raises:
        ConfigError: what is there has another mark; nothing was changed.
    """
    file = folder / INPUTS
    if mark and resume and file.exists() and _text(file) != mark:
        raise ConfigError(
            f"checkpoints in {folder} belong to another configuration, seed, data or other input; "
            "repeat the first command with --resume, or start again with --overwrite"
        )
    make_run_folder(folder)
    if mark:
        write_text(file, f"{mark}\n")
    write_text(folder / CONFIG, dump_toml(resolved))


def _text(file: Path) -> str:
    """What a mark says; nothing where it cannot be read."""
    try:
        return read_text(file).strip()
    except (OSError, Unreadable):
        return ""


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


def drop_unless_resumable(folder: Path) -> None:
    """Remove a run folder that holds no checkpoint and no training round: nothing could go on."""
    if written_by_pdeinv(folder) and not any(any(folder.rglob(kind)) for kind in RESUMABLE):
        remove(folder)

"""What a file or folder of pdeinv holds, told without loading its arrays."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from pdeinv.config import read_toml
from pdeinv.errors import DataSchemaError
from pdeinv.io import netcdf
from pdeinv.io.arrays import opened_arrays
from pdeinv.io.checkpoints import read_metadata
from pdeinv.model.learned import Role

__all__ = ["describe"]

CONFIG = "pdeinv_config"
"""The attribute with the resolved configuration, shown apart from the others."""


def describe(path: Path) -> dict[str, Any]:
    """Kind, sizes, variables, provenance and summary of a file, checkpoint or run folder.

    Raises:
        DataSchemaError: missing, damaged, or nothing that pdeinv knows.
    """
    if not path.exists():
        raise DataSchemaError(f"no such file or folder: {path}")
    if not path.is_dir():
        return {"path": str(path), **_netcdf(path)}
    if (path / "metadata.json").exists():
        # files of earlier versions hold forward models and do not say so
        metadata = {"role": str(Role.FORWARD), **read_metadata(path)}
        return {"path": str(path), "kind": "surrogate", "attributes": metadata}
    if (path / "run.json").exists() or any(path.glob("round*.npz")):
        return {"path": str(path), "kind": "run", **_run(path)}
    raise DataSchemaError(
        f"{path} is a folder of no known kind; expected a surrogate (metadata.json) or a run "
        "(run.json)"
    )


def _netcdf(path: Path) -> dict[str, Any]:
    with netcdf.opened_tree(path) as tree:
        root = tree.to_dataset()
        attrs = {str(k): v for k, v in root.attrs.items()}
        return {
            "kind": netcdf.kind_of(tree),
            "groups": {
                node.path: {
                    str(name): _variable(v) for name, v in node.to_dataset().variables.items()
                }
                for node in tree.subtree
                if node.has_data or node.path == "/"
            },
            "config": str(attrs.pop(CONFIG, "")),
            "summary": _summary(attrs),
            "attributes": {
                k: v.item() if isinstance(v, np.generic) else v for k, v in attrs.items()
            },
        }


def _variable(variable: xr.Variable) -> dict[str, Any]:
    return {
        "dims": {str(k): int(v) for k, v in variable.sizes.items()},
        "dtype": str(variable.dtype),
        "units": variable.attrs.get("units"),
        "long_name": variable.attrs.get("long_name"),
    }


def _summary(attrs: dict[str, Any]) -> dict[str, Any]:
    """The engine's summary numbers, taken out of ``attrs``."""
    text = attrs.pop("pdeinv_summary", "{}")
    try:
        found = json.loads(str(text))
    except ValueError:
        return {}
    return dict(found) if isinstance(found, Mapping) else {}


def _run(folder: Path) -> dict[str, Any]:
    """How far each chain of a live or stopped run was at its last checkpoint."""
    mark = folder / "run.json"
    if mark.exists() and "engine" not in json.loads(mark.read_text()):
        return _batches(folder)
    return {
        "engine": json.loads(mark.read_text())["engine"] if mark.exists() else None,
        "training_rounds_done": len(list(folder.glob("round*.npz"))),
        "stop_asked": (folder / "STOP").exists(),
        "chains": [_chain(file) for file in sorted(folder.glob("chain*.state.npz"))],
    }


def _batches(folder: Path) -> dict[str, Any]:
    """How far a data set is: what its batches say of themselves, hashes unchecked."""
    found = [json.loads(file.read_text()) for file in sorted(folder.glob("batch*.json"))]
    planned = read_toml(folder / "config.toml") if (folder / "config.toml").exists() else {}
    return {
        "samples": planned.get("n"),
        "samples_done": sum(facts["samples"] for facts in found),
        "samples_failed": sum(len(facts["failed"]) for facts in found),
        "batches_done": len(found),
        "seed": planned.get("seed"),
        "assembled": (folder / "manifest.json").exists(),
    }


def _chain(file: Path) -> dict[str, Any]:
    with opened_arrays(
        file, lambda kind: DataSchemaError(f"checkpoint {file} is damaged ({kind})")
    ) as data:
        meta = json.loads(str(data["meta"]))
        misfit = float(data["state_misfit"]) if "state_misfit" in data else None
    spent = meta["counters"]
    return {
        "chain": file.name.partition(".")[0].removeprefix("chain"),
        "step": meta["step"],
        "misfit": misfit,
        "seconds": round(meta["seconds"], 1),
        **{k: spent[k] for k in ("n_forward", "n_surrogate", "n_failed")},
    }

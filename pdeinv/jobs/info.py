"""What a file or folder of pdeinv holds, told without loading its arrays."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from pdeinv.errors import DataSchemaError
from pdeinv.foreign import parse_json
from pdeinv.io import netcdf
from pdeinv.io.checkpoints import read_metadata
from pdeinv.io.schema import fitting
from pdeinv.jobs.info_components import component_rows
from pdeinv.jobs.info_run import describe_run, is_run
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
    from pdeinv.jobs.export_images import images_in  # which loads problems and their models

    images = images_in(path)
    if images is not None:
        return {"path": str(path), "kind": "images", "attributes": images}
    if is_run(path):
        return {"path": str(path), "kind": "run", **describe_run(path)}
    raise DataSchemaError(
        f"{path} is a folder of no known kind; expected a surrogate (metadata.json), a run "
        "folder or images (pdeinv.json)"
    )


def _netcdf(path: Path) -> dict[str, Any]:
    with netcdf.opened_tree(path) as tree, fitting(path, "described"):
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
            "components": component_rows(tree),
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
        found = parse_json(str(text))
    except ValueError:
        return {}
    return dict(found) if isinstance(found, Mapping) else {}

"""torch and the devices that it computes on; an absent one is an error."""

from __future__ import annotations

from typing import Any

from pdeinv import extras
from pdeinv.errors import ConfigError

__all__ = ["find_device", "import_torch"]


def import_torch() -> Any:
    """The module torch.

    Raises:
        MissingDependency: it is not installed.
        SystemFault: memory is too short to load it.
    """
    return extras.load("torch", "networks need")


def find_device(name: str) -> Any:
    """The torch device ``name``; an absent one is an error, never replaced in silence.

    Raises:
        ConfigError: no such device on this machine.
    """
    torch = import_torch()
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ConfigError(f"--device must be cpu or cuda, got '{name}'") from None
    if device.type not in ("cpu", "cuda", "mps"):
        raise ConfigError(f"--device must be cpu or cuda (or mps), got '{name}'")
    found = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device.type == "cuda" and (device.index or 0) >= found:
        raise ConfigError(
            f"device '{name}' is not available: torch sees {found or 'no'} GPU; use --device cpu"
        )
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise ConfigError("device 'mps' is not available on this machine; use --device cpu")
    return device

"""What ``evaluate`` tells of a surrogate, whatever its role."""

from __future__ import annotations

from typing import Any

from pdeinv.errors import ConfigError
from pdeinv.jobs import evaluate_denoiser, evaluate_images, evaluate_inverse
from pdeinv.jobs.comparison import summary
from pdeinv.jobs.evaluate import Request, compare
from pdeinv.model.learned import Role

__all__ = ["check_data", "figures_of"]


def check_data(request: Request) -> None:
    """Refuse fields for what is no denoiser.

    Raises:
        ConfigError: they are given to another role.
    """
    if request.data is not None and request.role is not Role.DENOISER:
        raise ConfigError(
            f"--data has fields for a denoiser, and the role of this surrogate is "
            f"'{request.role}': it is evaluated at fresh draws; leave --data out"
        )


def figures_of(request: Request) -> dict[str, Any]:
    """The figures by name.

    Raises:
        PdeinvError: the surrogate does not belong to the problem, or every solve failed.
    """
    check_data(request)
    if request.role is Role.INVERSE:
        seen = evaluate_inverse.fresh(request, lambda _done, _total: None)
        return dict(evaluate_images.told(seen).figures)
    if request.role is Role.DENOISER:
        return dict(evaluate_denoiser.told(evaluate_denoiser.examine(request)).figures)
    return dict(summary(compare(request)))

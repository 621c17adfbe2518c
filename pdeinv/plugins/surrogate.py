"""What a surrogate must offer; plug-ins implement it by shape alone.

A surrogate is anything that is trained for one problem, prior and set of sensors. Its role
(:class:`pdeinv.model.learned.Role`) says what it is once it is bound. The package's own share
:class:`pdeinv.surrogates.common.trained.Trained`, which supplies all of this but the network, its
loss and its numbers; a foreign one may use that too, or start from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self

from pdeinv import extras
from pdeinv.bayes.prior import Prior
from pdeinv.config import Config as BaseConfig
from pdeinv.errors import CapabilityError
from pdeinv.io.datasets import TrainingSet
from pdeinv.io.observations import Observations
from pdeinv.model.forward import ForwardModel
from pdeinv.model.learned import Denoiser, Inverse, Role
from pdeinv.model.observed import Sensors
from pdeinv.model.tangent import Tangent
from pdeinv.plugins.fitting import FitRun
from pdeinv.plugins.problem import Problem
from pdeinv.typing import Array

__all__ = [
    "Bound",
    "SolvedPairs",
    "Surrogate",
    "check_installed",
    "check_pairs",
    "check_role",
    "role_of",
]

Bound = ForwardModel | Inverse | Denoiser
"""What a surrogate is for one run; which of the three, its role says."""


@dataclass(frozen=True)
class SolvedPairs:
    """Solves of the reference model where one posterior lives.

    Attributes:
        observations: the measurements: sensors, values and σ.
        xi: where it was solved, shape (n, dim).
        values: the data that it gave, finite, shape (n, n_obs).
        tangent: of the reference model on xi at a point of the posterior, where it is known.
    """

    observations: Observations
    xi: Array
    values: Array
    tangent: Tangent | None = None


class Surrogate(Protocol):
    """Something learned for a problem, stored as a folder without pickles.

    Its class is registered in the entry-point group ``pdeinv.surrogates`` under ``name``. It is
    frozen: :meth:`fit` and :meth:`load` make it, nothing changes it. Two fits with the same data,
    configuration and seed give the same numbers; whatever is random comes from
    :func:`pdeinv.rng.stream` of that seed.
    """

    name: ClassVar[str]
    """The registered name; ``metadata["surrogate"]`` is the same."""
    Config: ClassVar[type[BaseConfig]]
    """Its options, all with defaults: the table ``[surrogate]`` of ``train-surrogate``.

    Where it has a tuple ``free``, options named there may change on ``--resume``, and no others.
    """
    role: ClassVar[Role]
    """What :meth:`bind` gives."""
    learns_fields: ClassVar[bool]
    """Whether it learns from fields on a grid and needs no xi of the samples."""
    learns_pairs: ClassVar[bool]
    """Whether :meth:`from_pairs` works, so that ``two-level`` may train it on its way."""

    @classmethod
    def needs(cls, config: Mapping[str, Any], training: bool) -> frozenset[str]:
        """The packages without which it cannot work, beyond those that pdeinv always has.

        Args:
            config: options, some or all of ``Config``, not yet checked.
            training: to train it, or only to use a trained one.
        """

    @classmethod
    def shares_work(cls, config: Any) -> bool:
        """Whether several processes (:attr:`.fitting.FitRun.ranks`) may train it together.

        Args:
            config: an instance of ``Config``.
        """

    @classmethod
    def fit(
        cls,
        dataset: TrainingSet,
        problem: Problem,
        config: Any,
        seed: int,
        run: FitRun | None = None,
    ) -> Self:
        """Learn from a data set; some of its samples are held out for the recorded errors.

        Args:
            dataset: xi (n, dim), values (n, n_obs), and fields (n, ..., y, x) where there are.
            problem: the one that the data set belongs to; supplies prior and coarse models.
            config: an instance of ``Config``.
            seed: root seed.
            run: device, checkpoints, progress, stopping; None for the defaults.

        Raises:
            SurrogateRejected: the data set belongs to another problem.
            DataSchemaError: too few samples, or something is missing in them.
            ConfigError: an option that does not go with the data.
            Preempted: a stop was asked for; the training is saved in ``run.folder``.
            RunFailed: it started well and failed; what was saved is kept.
        """

    @classmethod
    def from_pairs(cls, problem: Problem, pairs: SolvedPairs, config: Any, seed: int) -> Self:
        """Learn from a few solves near one posterior, as ``two-level`` does in rounds.

        What is bound from the result stands in for the reference model at ``pairs.observations``.

        Args:
            problem: supplies prior and coarse models.
            pairs: the solves so far.
            config: an instance of ``Config``.
            seed: root seed.

        Raises:
            CapabilityError: ``learns_pairs`` is false.
            DataSchemaError: too few different pairs.
        """

    @property
    def metadata(self) -> Mapping[str, Any]:
        """JSON data, the same after :meth:`save` and :meth:`load`.

        At least ``surrogate`` (the name), ``role``, ``problem`` and ``problem_config`` (what it was
        trained for), ``sensors`` (lists by coordinate), ``noise_std`` (list), ``level`` (mesh level
        of the reference), ``config`` (the options), ``errors`` (held-out, numbers by name) and
        ``dataset_sha256``.
        """

    def save(self, folder: Path) -> None:
        """Write safetensors weights and ``metadata.json`` into ``folder`` (created)."""

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The surrogate that :meth:`save` wrote; the same numbers, bit for bit.

        Raises:
            DataSchemaError: the folder does not hold such a surrogate.
        """

    def bind(self, problem: Problem, prior: Prior, sensors: Sensors) -> Bound:
        """What the role says, for these sensors.

        A forward model takes xi (..., dim) to data (..., n_d) in the order of ``sensors``, has
        ``kind = "surrogate"`` and an ``m_space`` of dim whitened unknowns; capability ``VARIANCE``
        adds a method ``variance`` of the same shapes.

        Raises:
            SurrogateRejected: trained for another problem, prior or sensor set.
        """


def role_of(kind: Any) -> Role:
    """The role of a surrogate's class; one that states none is a forward model."""
    return Role(getattr(kind, "role", Role.FORWARD))


def check_role(kind: Any, wanted: Role, verb: str) -> None:
    """Refuse a member of another role.

    Args:
        kind: the surrogate or its class.
        wanted: what ``verb`` can use.
        verb: who asks, for the message.

    Raises:
        CapabilityError: it has another role.
    """
    if role_of(kind) != wanted:
        raise CapabilityError(
            f"{verb} expects a surrogate of role '{wanted}', got '{kind.name}' of role "
            f"'{role_of(kind)}'; choose one of role '{wanted}' ('pdeinv list surrogates')"
        )


def check_pairs(kind: Any) -> None:
    """Refuse a surrogate that cannot be trained on the way of an inversion.

    Raises:
        CapabilityError: it does not learn from pairs.
    """
    if not getattr(kind, "learns_pairs", False):
        raise CapabilityError(
            f"surrogate '{kind.name}' cannot be trained on the way: expected one that learns from "
            "a few solves; use 'multifidelity', or train it before ('train-surrogate') and pass "
            "--surrogate FOLDER"
        )


def check_installed(kind: Any, config: Mapping[str, Any], training: bool) -> None:
    """Refuse a surrogate whose packages are missing, before anything is computed.

    Args:
        kind: its class.
        config: its options.
        training: to train it, or to use a trained one.

    Raises:
        MissingDependency: names the first package, and the command that brings it.
    """
    needed = kind.needs(config, training) if hasattr(kind, "needs") else frozenset()
    doing = "training" if training else "using"
    for name in sorted(needed):
        extras.require(name, f"{doing} surrogate '{kind.name}' needs")

"""Deep operator network: a branch reads the unknown, a trunk reads the place, they multiply.

    u(x; xi) = c + s (Σ_k b_k(xi) t_k(x) + t_0(x))

The trunk knows coordinates alone, so that the field is learned at scattered places (and times) and
predicted at any others in their box. ``trunk = "pod"`` takes the field's proper orthogonal modes in
place of the trunk, interpolated from the grid.

References: Lu, Jin, Pang, Zhang and Karniadakis (2021), Learning nonlinear operators via DeepONet;
Lu et al. (2022), A comprehensive and fair comparison of two neural operators (POD-DeepONet).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import Field

from pdeinv.config import Width
from pdeinv.errors import ConfigError
from pdeinv.rng import stream
from pdeinv.typing import Array

from ..common.bound import Emulator
from ..common.lesson import Lesson, Where
from ..common.mlp import Decoded, Mlp, seeded_mlp
from ..common.record import Record
from ..common.scaling import Pod, Standard
from ..common.storage import under, within
from ..common.torch_env import seeded, torch
from ..common.trained import Trained
from ..operators.grid import Grid
from ..operators.places import Places, known
from ..training.config import Data, History, TrainingConfig
from ..training.train import train
from .branch import Branch
from .trunk import PodTrunk, Trunk, TrunkNetwork, branch_and_trunk

__all__ = ["Deeponet", "DeeponetConfig"]


class DeeponetConfig(TrainingConfig):
    """Options of ``deeponet``."""

    batch_size: int = Field(16, ge=1, description="samples of one gradient step")
    widths: tuple[Width, ...] = Field((128, 128), description="hidden layers of branch and trunk")
    basis: Width = Field(64, description="products that are summed, at most as many POD modes")
    trunk: Literal["network", "pod"] = Field(
        "network", description="a network of the coordinates, or modes interpolated from the grid"
    )
    branch: Literal["xi", "coefficient"] = Field(
        "xi",
        description="what the branch reads: the whitened unknown, or the coefficient on a grid",
    )
    branch_grid: tuple[int, ...] = Field(
        (9, 9), description="shape of that grid, slower axis first"
    )
    places: int = Field(
        2000, ge=1, description="most places that the field is learned at, the sensors among them"
    )
    octaves: int = Field(
        1, ge=0, le=8, description="frequencies π, 2π, … of places that the trunk sees, for waves"
    )


@dataclass(frozen=True)
class Deeponet(Trained):
    """A trained operator with all that is needed to use it again.

    Attributes:
        branch: xi to the branch network's inputs.
        inputs: scaling of them.
        network: the branch.
        trunk: places to the functions t_k and t_0.
    """

    branch: Branch
    inputs: Standard
    network: Mlp
    trunk: Trunk

    name = "deeponet"
    Config = DeeponetConfig
    packages = frozenset({"torch"})

    @classmethod
    def learn(cls, lesson: Lesson) -> Deeponet:
        """Train on all places where the data set holds the field.

        Raises:
            ConfigError: ``trunk = "pod"`` without a grid of the data's coordinates.
            Preempted: a stop was asked for; the training is saved.
            RunFailed: the loss is not finite.
        """
        config, dataset = lesson.config, lesson.dataset
        branch = Branch.of(lesson.problem, config.branch, config.branch_grid, dataset.xi)
        read = branch.read(lesson.problem, dataset.xi)
        inputs = Standard.fit(read[lesson.split.train])
        fit = _fit_pod if config.trunk == "pod" else _fit_network
        network, trunk, history = fit(lesson, inputs(read))
        extra = {**history.summary(), "branch": branch.as_json(), "basis": trunk.size}
        return cls(lesson.record(cls, extra), branch, inputs, network, trunk)

    def arrays(self) -> dict[str, Array]:
        """Weights and scalings."""
        return {
            **under("network.", self.network.arrays()),
            **under("input_", vars(self.inputs)),
            **under("trunk.", self.trunk.arrays()),
        }

    @classmethod
    def restored(cls, arrays: Mapping[str, Array], record: Record) -> Deeponet:
        """The inverse of :meth:`arrays`."""
        kind = PodTrunk if record.config["trunk"] == "pod" else TrunkNetwork
        names = tuple(sorted(record.identity.sensors))
        return cls(
            record,
            Branch.from_json(record.extra["branch"]),
            Standard(**within("input_", arrays)),
            Mlp.from_arrays(within("network.", arrays)),
            kind.from_arrays(within("trunk.", arrays), names),
        )

    def emulator(self, where: Where) -> Emulator:
        """The operator at any sensors in the box of the trained places."""
        sensors = self.record.identity.sensors if where.sensors is None else where.sensors
        mean, decoder = self.trunk(sensors)
        decoded = Decoded(self.inputs, self.network, 1.0, mean, decoder)
        return self.branch.before(decoded, where.problem, where.prior)


def _fit_network(lesson: Lesson, x: Array) -> tuple[Mlp, Trunk, History]:
    """Branch and trunk trained together on scaled branch inputs."""
    config, seed, split = lesson.config, lesson.seed, lesson.split
    places, values = known(lesson.dataset, config.places, stream(seed, "places"))
    box = Places.around(places, config.octaves)
    centre = float(values[split.train].mean())
    scale = max(float(values[split.train].std()), 1e-300)
    sizes = (x.shape[1], config.widths, config.basis)
    module = seeded(seed, Deeponet.name, 0, lambda: branch_and_trunk(sizes, box(places)))
    data = Data.of(x, (values - centre) / scale, split)
    history = train(module, data, torch.nn.functional.mse_loss, config, seed, lesson.run)
    return Mlp.of(module.branch), TrunkNetwork(box, Mlp.of(module.trunk), centre, scale), history


def _fit_pod(lesson: Lesson, x: Array) -> tuple[Mlp, Trunk, History]:
    """The branch trained on the field's modes."""
    config, split, dataset = lesson.config, lesson.split, lesson.dataset
    field, names = dataset.field, sorted(dataset.sensors)
    if field is None or sorted(dataset.axes) != names or len(names) != 2:
        raise ConfigError(
            'trunk = "pod" needs the field on a plane grid with the data\'s coordinates; use '
            "'generate --grid 33x33', or trunk = \"network\""
        )
    flat = np.nan_to_num(field.reshape(len(field), -1))
    ones = np.ones(flat.shape[1])
    most = min(config.basis, len(split.train))
    pod = Pod.fit(flat[split.train], ones, 1e-9 * float(flat[split.train].std(axis=0).max()), most)
    z = pod.encode(flat)
    scale = max(float(z[split.train].std()), 1e-300)
    module = seeded_mlp(lesson.seed, Deeponet.name, (x.shape[1], config.widths, pod.n_modes))
    data, loss = Data.of(x, z / scale, split), torch.nn.functional.mse_loss
    history = train(module, data, loss, config, lesson.seed, lesson.run)
    (slow, axis0), (fast, axis1) = dataset.axes.items()
    trunk = PodTrunk(Grid((slow, fast), axis0, axis1), pod.mean, scale * pod.basis)
    return Mlp.of(module), trunk, history

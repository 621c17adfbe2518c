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
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from pdeinv.bayes.prior import Prior
from pdeinv.config import Config
from pdeinv.errors import ConfigError, DataSchemaError
from pdeinv.io.datasets import TrainingSet
from pdeinv.model.forward import ForwardModel
from pdeinv.model.observed import Sensors
from pdeinv.plugins.problem import Problem
from pdeinv.rng import stream
from pdeinv.typing import Array

from ..common.bound import BoundModel, Emulator, RangeWatch
from ..common.decoded import Decoded
from ..common.fitting import FitRun, Split
from ..common.identity import Identity, data_space
from ..common.mlp import Mlp, build_module
from ..common.record import Record, heldout_errors
from ..common.scaling import Pod, Standard, reference_noise
from ..common.storage import load_folder, save_folder
from ..operators.grid import Grid
from ..operators.places import Places, known
from ..training.train import Data, TrainingConfig, import_torch, seeded, train
from .branch import Branch
from .trunk import PodTrunk, Trunk, TrunkNetwork, branch_and_trunk

__all__ = ["Deeponet", "DeeponetConfig"]


class DeeponetConfig(TrainingConfig):
    """Options of ``deeponet``."""

    batch_size: int = Field(16, ge=1, description="samples of one gradient step")
    widths: tuple[int, ...] = Field((128, 128), description="hidden layers of branch and trunk")
    basis: int = Field(64, ge=1, description="products that are summed, at most as many POD modes")
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
    noise_rel: float = Field(
        0.02, gt=0, description="σ as a share of the peak, for errors, where no σ is given"
    )


@dataclass(frozen=True)
class Deeponet:
    """A trained operator with all that is needed to use it again.

    Attributes:
        branch: xi to the branch network's inputs.
        inputs: scaling of them.
        network: the branch.
        trunk: places to the functions t_k and t_0.
        record: metadata.
    """

    branch: Branch
    inputs: Standard
    network: Mlp
    trunk: Trunk
    record: Record

    name: ClassVar[str] = "deeponet"
    Config: ClassVar[type[Config]] = DeeponetConfig

    @property
    def metadata(self) -> Mapping[str, Any]:
        """See :class:`pdeinv.surrogates.common.record.Record`."""
        return self.record.as_json()

    @classmethod
    def fit(
        cls,
        dataset: TrainingSet,
        problem: Problem,
        config: DeeponetConfig,
        seed: int,
        run: FitRun | None = None,
    ) -> Deeponet:
        """Train on all places where the data set holds the field; a tenth validates and tests.

        Raises:
            ConfigError: ``trunk = "pod"`` without a grid of the data's coordinates.
            Preempted: a stop was asked for; the training is saved.
            RunFailed: the loss is not finite.
            SurrogateRejected: the data set belongs to another problem.
        """
        run = run or FitRun()
        prior = problem.prior()
        Identity.of_dataset(dataset).check(problem, prior)
        split = Split.of(dataset.size, seed)
        branch = Branch.of(problem, config.branch, config.branch_grid, dataset.xi)
        read = branch.read(problem, dataset.xi)
        inputs = Standard.fit(read[split.train])
        fit = _fit_pod if config.trunk == "pod" else _fit_network
        task = (dataset, inputs(read), split)
        network, trunk, history = fit(task, (config, seed, run))
        y = dataset.values
        noise_std = reference_noise(y[split.train], run.noise_std, config.noise_rel)
        record = Record.of(
            cls.name,
            dataset,
            rows=split.train,
            how=(config, seed, noise_std),
            sizes=split.sizes,
            errors={},
            extra={
                "epochs": len(history.train), "best_epoch": history.best_epoch,
                "branch": branch.as_json(), "basis": trunk.size,
            },
        )  # fmt: skip
        fitted = cls(branch, inputs, network, trunk, record)
        found = fitted._emulator(prior, problem, dataset.sensors)(dataset.xi[split.test])
        errors = heldout_errors(found, y[split.test], noise_std)
        return replace(fitted, record=replace(record, errors=errors))

    def save(self, folder: Path) -> None:
        """Write weights, scalings and the metadata."""
        arrays = {f"network.{k}": v for k, v in self.network.arrays().items()} | {
            "input_mean": self.inputs.mean,
            "input_std": self.inputs.std,
            **{f"trunk.{k}": v for k, v in self.trunk.arrays().items()},
        }
        save_folder(folder, arrays, self.record.as_json())

    @classmethod
    def load(cls, folder: Path) -> Deeponet:
        """What :meth:`save` wrote.

        Raises:
            DataSchemaError: the folder does not hold such an operator.
        """
        a, metadata = load_folder(folder, cls.name)
        record = Record.from_json(metadata, folder)

        def part(name: str) -> dict[str, Any]:
            return {k.removeprefix(name): v for k, v in a.items() if k.startswith(name)}

        try:
            kind = PodTrunk if record.config["trunk"] == "pod" else TrunkNetwork
            names = tuple(sorted(record.identity.sensors))
            return cls(
                Branch.from_json(record.extra["branch"]),
                Standard(a["input_mean"], a["input_std"]),
                Mlp.from_arrays(part("network.")),
                kind.from_arrays(part("trunk."), names),
                record,
            )
        except (KeyError, TypeError) as error:
            raise DataSchemaError(f"{folder}: entry {error} is missing; train it again") from None

    def bind(self, problem: Problem, prior: Prior, sensors: Sensors) -> ForwardModel:
        """The operator as a forward model on xi, for any sensors in the box of the trained places.

        Raises:
            SurrogateRejected: trained for another problem or prior, or a sensor lies outside.
        """
        self.record.identity.check(problem, prior)
        return BoundModel(
            self._emulator(prior, problem, sensors),
            prior.dim,
            data_space(self.record.identity.observed, sensors),
            RangeWatch(self.record.low, self.record.high, self.name),
            report=self.metadata,
        )

    def _emulator(self, prior: Prior, problem: Problem, sensors: Sensors) -> Emulator:
        mean, decoder = self.trunk(sensors)
        decoded = Decoded(self.inputs, self.network, 1.0, mean, decoder)
        return self.branch.before(decoded, problem, prior)


Task = tuple[TrainingSet, Array, Split]
"""Data set, scaled branch inputs, split."""

How = tuple[DeeponetConfig, int, FitRun]


def _fit_network(task: Task, how: How) -> tuple[Mlp, Trunk, Any]:
    """Branch and trunk trained together."""
    (dataset, x, split), (config, seed, run) = task, how
    places, values = known(dataset, config.places, stream(seed, "places"))
    box = Places.around(places, config.octaves)
    centre = float(values[split.train].mean())
    scale = max(float(values[split.train].std()), 1e-300)
    sizes = (x.shape[1], config.widths, config.basis)
    module = seeded(seed, Deeponet.name, 0, lambda: branch_and_trunk(sizes, box(places)))
    y = (values - centre) / scale
    data = Data(x[split.train], y[split.train], x[split.valid], y[split.valid])
    history = train(module, data, _mean_square, config, seed, run)
    branch, trunk = (_network(part) for part in (module.branch, module.trunk))
    return branch, TrunkNetwork(box, trunk, centre, scale), history


def _fit_pod(task: Task, how: How) -> tuple[Mlp, Trunk, Any]:
    """The branch trained on the field's modes."""
    (dataset, x, split), (config, seed, run) = task, how
    field, names = dataset.field, sorted(dataset.sensors)
    if field is None or sorted(dataset.axes) != names or len(names) != 2:
        raise ConfigError(
            'trunk = "pod" needs the field on a plane grid with the data\'s coordinates; use '
            "'generate --grid 33x33', or trunk = \"network\""
        )
    flat = np.nan_to_num(field.reshape(len(field), -1))
    ones = np.ones(flat.shape[1])
    most = min(config.basis, len(split.train))
    pod = Pod.fit(flat[split.train], ones, 1e-12 * float(np.abs(flat).max()), most)
    z = pod.encode(flat)
    scale = max(float(z[split.train].std()), 1e-300)
    sizes = (x.shape[1], config.widths, pod.n_modes)
    module = seeded(seed, Deeponet.name, 0, lambda: build_module(*sizes))
    y = z / scale
    data = Data(x[split.train], y[split.train], x[split.valid], y[split.valid])
    history = train(module, data, _mean_square, config, seed, run)
    (slow, axis0), (fast, axis1) = dataset.axes.items()
    grid = Grid((slow, fast), axis0, axis1)
    return _network(module), PodTrunk(grid, pod.mean, scale * pod.basis), history


def _network(module: Any) -> Mlp:
    return Mlp.from_arrays({k: v.detach().cpu().numpy() for k, v in module.state_dict().items()})


def _mean_square(predicted: Any, target: Any) -> Any:
    return import_torch().nn.functional.mse_loss(predicted, target)

"""Data of several kinds at once, independent of each other, each with a likelihood of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from pdeinv.bayes.likelihood import Fisher, Likelihood, LikelihoodKind, Moments
from pdeinv.bayes.noise import Noise
from pdeinv.errors import CapabilityError, ConfigError
from pdeinv.typing import Array

__all__ = ["Parts"]

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Parts:
    """p(y | G) = Π_k p_k(y[rows_k] | G[rows_k]).

    Attributes:
        rows: the data of each part, shapes (n_k,); every datum belongs to one.
        laws: their likelihoods, whose data are independent of each other.

    Raises:
        ConfigError: one of them is a score without a density.
    """

    rows: tuple[Rows, ...]
    laws: tuple[Likelihood, ...]

    kind: ClassVar[LikelihoodKind] = LikelihoodKind.DENSITY
    expectation: ClassVar[str] = "the sum over its kinds of data is expected"

    def __post_init__(self) -> None:
        if any(law.kind is LikelihoodKind.SCORE for law in self.laws):
            raise ConfigError(
                "a score of masks goes with no other data; choose score = 'bernoulli', or leave "
                "the other data out"
            )

    @property
    def size(self) -> int:
        """The number of data."""
        return sum(len(rows) for rows in self.rows)

    @property
    def std(self) -> Array:
        """σ of each datum, shape (n_d,)."""
        return self._joined([law.std for law in self.laws])

    def check(self, data: Array) -> None:
        """Each part refuses data that it cannot be of.

        Raises:
            DataSchemaError: the first that does.
        """
        for rows, law in self._each():
            law.check(data[rows])

    def misfit(self, prediction: Array, data: Array) -> Array:
        """Φ for (..., n_d), the sum of the parts."""
        found = [law.misfit(prediction[..., rows], data[..., rows]) for rows, law in self._each()]
        return np.asarray(sum(found))

    def slope(self, prediction: Array, data: Array) -> tuple[Array, Array]:
        """Φ and dΦ/dG."""
        pairs = [law.slope(prediction[..., rows], data[..., rows]) for rows, law in self._each()]
        return np.asarray(sum(value for value, _ in pairs)), self._joined([g for _, g in pairs])

    def fisher(self, prediction: Array) -> Noise:
        """F(G), as the additive noise that has the same."""
        return self._noise([law.fisher(prediction[rows]) for rows, law in self._each()])

    def moments(self, predictions: Array) -> Moments:
        """Mean and scatter of all data, for an ensemble of predictions (n, n_d)."""
        found = [law.moments(predictions[:, rows]) for rows, law in self._each()]
        count = sum(part.count for part in found)
        mean = self._joined([part.mean for part in found])
        return Moments(mean, self._noise([part.noise for part in found]), count)

    def _noise(self, parts: Sequence[Fisher]) -> Noise:
        """The noise of all data, which are independent."""
        stds = []
        for part in parts:
            if not isinstance(part, Noise) or part.covariance is not None or part.along:
                raise CapabilityError("data of several kinds have independent noise")
            stds.append(part.std)
        return Noise(self._joined(stds))

    def largest_misfit(self, predict: Callable[[], Array], factor: float = 1.0) -> float:
        """No less than the Φ that right data exceed once in a thousand times: the sum of parts."""
        whole = predict()
        return sum(
            law.largest_misfit(lambda rows=rows: whole[rows], factor)  # type: ignore[misc]
            for rows, law in self._each()
        )

    def draw(self, prediction: Array, rng: np.random.Generator) -> Array:
        """Data, one row for each row of predictions (n, n_d)."""
        return self._joined([law.draw(prediction[:, rows], rng) for rows, law in self._each()])

    def log_density(self, prediction: Array, data: Array) -> Array:
        """ln p(y_i | all other y_j) for (..., n_d)."""
        return self._joined(
            [law.log_density(prediction[..., rows], data[..., rows]) for rows, law in self._each()]
        )

    def tempered(self, temperature: float) -> Parts:
        """With the misfit Φ / ``temperature``."""
        return replace(self, laws=tuple(law.tempered(temperature) for law in self.laws))

    def _each(self) -> list[tuple[Rows, Likelihood]]:
        return list(zip(self.rows, self.laws, strict=True))

    def _joined(self, parts: list[Array]) -> Array:
        """What each part says of its data (..., n_k), in the order of all, (..., n_d)."""
        found = np.empty((*parts[0].shape[:-1], self.size))
        for rows, part in zip(self.rows, parts, strict=True):
            found[..., rows] = part
        return found

"""Options of ``gauss-newton``."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from pdeinv.engines.bands import BandsConfig
from pdeinv.engines.regularized.step import Rule

__all__ = ["GaussNewtonConfig", "Regularization"]

Regularization = Literal["noser", "tikhonov", "smoothness", "tv", "prior"]


class GaussNewtonConfig(BandsConfig):
    """Options of ``gauss-newton``."""

    regularization: Regularization = Field(
        "noser", description="diag(JᵀΓ⁻¹J)^p, identity, ∫|∇m|², ∫|∇m|, or the prior's ½‖ξ‖²"
    )
    steps: int = Field(50, ge=1, description="most steps; 1 is the linearized one-step method")
    weight: float | None = Field(None, gt=0, description="λ; unset: by the rule (prior: 1)")
    rule: Rule | None = Field(
        None, description="how λ is chosen; unset: fixed where weight is given, else discrepancy"
    )
    discrepancy: float = Field(
        1.0, gt=0, description="τ: the rule 'discrepancy' aims at Φ = τ² n/2 for n data"
    )
    inner: Literal["dense", "cg"] = Field(
        "dense",
        description="how a step is solved for: by the whole Jacobian, or by its products and "
        "conjugate gradients, where it has too many entries",
    )
    cg_iterations: int = Field(20, ge=1, description="most of them in a step, for inner 'cg'")
    noser_power: float = Field(0.5, ge=0, le=1, description="p of diag(JᵀΓ⁻¹J)^p")
    edge: float = Field(
        0.01, gt=0, lt=1, description="tv: β as a share of the steepest gradient of the first step"
    )
    positivity: Literal["none", "log", "bounds"] | None = Field(
        None,
        description="none, steps in ln m, or steps projected on [lower, upper]; unset: log where "
        "the prior has positive values only, else none",
    )
    lower: float | None = Field(None, description="least value of m, for positivity 'bounds'")
    upper: float | None = Field(None, description="largest value of m, for positivity 'bounds'")
    reference: float | Literal["prior"] | None = Field(
        None,
        description="value of the background (of the first variable), or 'prior': the prior's map "
        "at ξ = 0; unset: that moved by the constant of each field that fits the data best",
    )
    start: Literal["mean", "prior"] = Field(
        "mean", description="start from the reference, or from a prior draw"
    )
    line_search: bool = Field(True, description="shorten steps that do not lower the objective")
    tolerance: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="the last step promises less, relative to the objective; unset: 1e-4, and none "
        "is made that promises less than 0.03 (tv: 0.01) where the rule 'discrepancy' has reached "
        "its Φ to 2 % or its least λ",
    )

    @property
    def weight_rule(self) -> Rule:
        """The rule, resolved."""
        return self.rule or ("discrepancy" if self.weight is None else "fixed")

    def wanted(self, n_data: float) -> float:
        """Φ that the rule 'discrepancy' aims at, of so many data that count."""
        return 0.5 * self.discrepancy**2 * n_data

    @property
    def enough(self) -> float:
        """What a step has to promise where the data are fitted as the rule for λ wants or allows.

        It would lower the penalty alone, in the log by ever hotter single cells. 0 where a
        tolerance is given, or another rule.
        """
        if self.tolerance is not None or self.weight_rule != "discrepancy":
            return 0.0
        return 0.01 if self.regularization == "tv" else 0.03

    @model_validator(mode="before")
    @classmethod
    def _prior_weight(cls, values: object) -> object:
        """The prior has its own weight."""
        if not (isinstance(values, dict) and values.get("regularization") == "prior"):
            return values
        chosen = values.get("weight") is not None or values.get("rule") not in (None, "fixed")
        return values if chosen else {**values, "weight": 1.0}

    @model_validator(mode="after")
    def _agree(self) -> Self:
        prior, low, high = self.regularization == "prior", self.lower, self.upper
        bounds = (low is not None or high is not None) == (self.positivity == "bounds")
        faults = {
            "rule 'fixed' needs weight; set engine.weight, or rule 'discrepancy'": (
                self.rule == "fixed" and self.weight is None
            ),
            f"weight is chosen by rule '{self.rule}'; leave out one of the two": (
                self.rule not in (None, "fixed") and self.weight is not None
            ),
            "tv needs several steps (its first is a smooth one); set steps = 10": (
                self.regularization == "tv" and self.steps == 1
            ),
            "the prior's map keeps m where it belongs; leave out positivity": (
                prior and self.positivity is not None
            ),
            "inner 'cg' knows no diagonal of JᵀΓ⁻¹J and no spectrum: choose regularization "
            "tikhonov, smoothness, tv or prior, rule discrepancy or fixed, and several steps": (
                self.inner == "cg"
                and (self.regularization == "noser" or self.rule == "gcv" or self.steps == 1)
            ),
            "the prior brings its own reference; leave out reference": (
                prior and self.reference is not None
            ),
            "lower and upper go with positivity 'bounds', which needs one of them; got positivity "
            f"'{self.positivity}', lower {low}, upper {high}": not bounds,
            f"expected lower < upper, got {low} and {high}": (
                low is not None and high is not None and not low < high
            ),
        }
        for text, wrong in faults.items():
            if wrong:
                raise ValueError(text)
        return self

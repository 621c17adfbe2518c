"""Train a surrogate where the posterior lives, and test whether it may drive two-level sampling.

A network trained on prior draws is useless for a concentrated posterior. Here independent explorers
of the current surrogate posterior start from prior draws, the fine model is solved at some of their
states, and these solves first test the surrogate. It is done when explorers agree and the test is
passed twice in a row by one surrogate, which is the one that is used; else it is refitted on all
solves so far. The first round has no surrogate: see :mod:`pdeinv.jobs.two_level.start`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from pdeinv.bayes.posterior import Counters, Posterior, WhitenedModel
from pdeinv.config import restored
from pdeinv.engines.progress import Progress
from pdeinv.engines.run.spec import Run
from pdeinv.errors import (
    BudgetSpent,
    ConfigError,
    DataSchemaError,
    RunFailed,
    SolverDiverged,
    reason,
)
from pdeinv.foreign import Unreadable, parse_json, read_json
from pdeinv.io.arrays import opened_arrays, write_arrays
from pdeinv.io.atomic import atomic, remove, write_text
from pdeinv.io.datasets import prior_probe, same_prior
from pdeinv.jobs.two_level.admission import Difference, SurrogateReport, judge
from pdeinv.jobs.two_level.explorers import Agreement, Exploration
from pdeinv.jobs.two_level.rounds import Rounds, solve_all
from pdeinv.jobs.two_level.start import MapPoints, at_the_maps, can_start_at_map
from pdeinv.jobs.two_level.trial import Trial, keep_tests
from pdeinv.jobs.two_level.watch import Watch
from pdeinv.model.tangent import Tangent
from pdeinv.plugins.recipe import bound_forward
from pdeinv.plugins.surrogate import Surrogate
from pdeinv.rng import stream
from pdeinv.typing import Array

__all__ = ["train_in_rounds"]

IN_A_ROW = 2
"""So many tests a surrogate has to pass one after another."""


def train_in_rounds(
    rounds: Rounds,
    folder: Path,
    progress: Progress,
    watch: Watch | None = None,
    tag: Mapping[str, Any] | None = None,
) -> SurrogateReport:
    """Train a surrogate in rounds and save it in ``folder/surrogate``; finished rounds are kept.

    Args:
        rounds: what to train, on what and how.
        folder: the run folder; rounds found there are not repeated.
        progress: told the round, as chain -1.
        watch: asked whether to go on.
        tag: what decides model and data, as that of :class:`pdeinv.engines.run.spec.Run`.

    Raises:
        Preempted: a stop was asked for; what is finished is saved.
        BudgetSpent: the budget was spent.
        SurrogateRejected: the last held-out test failed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    watch = watch or Watch.of(folder)
    done, target = folder / "rounds.json", folder / "surrogate"
    if not done.exists():
        training = _Training(rounds, folder, progress, watch, tag or {})
        surrogate, figures = training.run()
        with atomic(target) as scratch:
            surrogate.save(scratch)
        saved = {"counters": asdict(watch.counters), "figures": figures}
        write_text(done, json.dumps(saved))
    kept = _saved(done)
    watch.counters = kept.counters
    last = max(folder.glob("round*.npz"), key=lambda f: int(f.stem.removeprefix("round")))
    with opened_arrays(last, lambda kind: _damaged(last, kind)) as data:
        points = data["xis"]
        seen = data.get("seen") if kept.figures["explorers_agreed"] else None
    return SurrogateReport(target, watch.counters, kept.figures, points=points, seen=seen)


@dataclass(frozen=True)
class _Saved:
    """What is kept of a training that is done."""

    counters: Counters
    figures: dict[str, Any]


def _saved(file: Path) -> _Saved:
    try:
        return restored(_Saved, read_json(file), "rounds")
    except (OSError, Unreadable) as error:
        raise _damaged(file, reason(error)) from None


@dataclass(frozen=True)
class _Solved:
    """What a round gave.

    Attributes:
        xis: draws.
        fine: the fine model's data there.
        tangent: of the fine model at its best MAP point, where that was searched.
        agreement: of the explorers, where the draws are theirs.
        seen: more of their draws, for later ones to learn from.
    """

    xis: Array
    fine: Array
    tangent: Tangent | None
    agreement: Agreement | None
    seen: Array | None


@dataclass
class _Training:
    """Rounds until a surrogate has passed its tests.

    Attributes:
        rounds: what to train.
        folder: the run folder.
        progress: told the round.
        watch: asked whether to go on; its counters are the training's.
        tag: of model and data.
        tests: what was found so far.
    """

    rounds: Rounds
    folder: Path
    progress: Progress
    watch: Watch
    tag: Mapping[str, Any]
    tests: list[Trial] = field(default_factory=list)

    def run(self) -> tuple[Surrogate, dict[str, float]]:
        """The surrogate that was tested last, and what is known of it."""
        config, posterior = self.rounds.config, self._first_posterior()
        solved, surrogate, passed, known = list[_Solved](), None, 0, 0
        seen: Array | None = None
        for j in range(config.max_rounds):
            self._tell(j)
            solved.append(self._round(posterior, j))
            if surrogate is not None:
                test = self._tested(posterior, solved[-1], known)
                seen = solved[-1].seen if test.telling else None
                passed = passed + 1 if test.passed(config.target_sd) else 0
                if passed == IN_A_ROW:
                    break
            if not passed and j < config.max_rounds - 1:
                surrogate, known = self._fit(solved), sum(len(s.xis) for s in solved)
                posterior = self._posterior_of(surrogate)
            posterior = replace(posterior, seen=seen)
        n, most = self.watch.counters.n_forward, config.max_rounds
        self.progress(-1, most, most, f"surrogate trained with {n} fine solves")
        assert surrogate is not None  # there are two rounds at least
        return surrogate, self._verdict(passed == IN_A_ROW)

    def _verdict(self, agreed: bool) -> dict[str, float]:
        last = self.tests[-1]
        advice = "raise max_rounds in [surrogate], or use a finer coarse_level"
        found = judge(last.difference, advice)
        return {**found, **last.figures(), "training_agreed": float(agreed)}

    def _tell(self, j: int) -> None:
        n, found = self.watch.counters.n_forward, ""
        if self.tests:
            last = self.tests[-1]
            found = (
                f", misfit difference {last.difference.mean:.2g} ± {last.difference.sd:.2g}, "
                f"R-hat of explorers {last.agreement.r_hat:.3f}"
            )
        note = f"training, {n} fine solves so far{found}"
        self.progress(-1, j, self.rounds.config.max_rounds, note)

    def _first_posterior(self) -> Posterior:
        """That of the coarse model, for more noise than there is."""
        rounds = self.rounds
        sensors = rounds.observations.coords
        coarse = rounds.config.coarse_model(rounds.problem, sensors)
        model = WhitenedModel(rounds.problem.prior(), coarse)
        return rounds.posterior(model, rounds.config.inflation)

    def _posterior_of(self, surrogate: Surrogate) -> Posterior:
        problem, sensors = self.rounds.problem, self.rounds.observations.coords
        return self.rounds.posterior(bound_forward(surrogate, problem, problem.prior(), sensors))

    def _fit(self, solved: list[_Solved]) -> Surrogate:
        """The surrogate of all solves so far."""
        self.watch.look()
        xis, fine = (np.concatenate([getattr(s, k) for s in solved]) for k in ("xis", "fine"))
        return self.rounds.fit(xis, fine, solved[0].tangent)

    def _tested(self, posterior: Posterior, new: _Solved, pairs: int) -> Trial:
        assert new.agreement is not None
        test = Trial(pairs, Difference.of(posterior, new.xis, new.fine), new.agreement)
        self.tests.append(test)
        target = self.rounds.config.target_sd
        keep_tests(self.folder, [t.entry(target) for t in self.tests])
        return test

    def _round(self, posterior: Posterior, j: int) -> _Solved:
        """Draws and fine solves of round ``j``, from its file where an earlier run left one."""
        file = self.folder / f"round{j}.npz"
        if not file.exists():
            self._make(posterior, j, file)
        with opened_arrays(file, lambda kind: _damaged(file, kind)) as data:
            self._check_prior(data)
            spent = restored(Counters, parse_json(str(data["spent"])), "spent")
            told = parse_json(str(data["agreement"])) if "agreement" in data else None
            agreement = None if told is None else restored(Agreement, told, "agreement")
            self.watch.counters.add(spent)
            seen = data.get("seen")
            return _Solved(data["xis"], data["fine"], Tangent.from_arrays(data), agreement, seen)

    def _make(self, posterior: Posterior, j: int, file: Path) -> None:
        config = self.rounds.config
        n = config.solves(j)
        spent, cheap = Counters(), Counters()
        self._afford(n)
        posterior.charge(cheap)
        rng = stream(self.rounds.seed, "refine", j)  # the name that the draws have always had
        more: dict[str, Any] = {"probe": prior_probe(self.rounds.problem.prior())}
        at = self._at_maps(posterior, spent, rng) if j == 0 else None
        if at is None:
            found = self._exploration(j)(posterior, self.watch.out_of_budget)
            cheap.add(found.counters)
            xis = found.thinned(n)
            more |= {"agreement": json.dumps(asdict(found.agreement())), "seen": found.seen}
        else:
            xis = at.draws(n, config.inflation, rng)
            more |= at.tangent.arrays()
        self._afford(n + spent.n_forward)
        rounds, look = self.rounds, self.watch.look
        fine = solve_all(rounds.recipe, xis, rounds.workers, spent, look)
        spent.add(_as_surrogate(cheap))
        write_arrays(file, xis=xis, fine=fine, spent=json.dumps(asdict(spent)), **more)
        self.watch.clock.save()
        remove(self._explorers(j))

    def _afford(self, solves: int) -> None:
        """Refuse to begin what the budget does not allow, so that a round is whole or absent."""
        self.watch.look()
        if self.watch.solves_left(solves) < solves:
            self.watch.out_of_budget()

    def _explorers(self, j: int) -> Path:
        return self.folder / f"explorers{j}"

    def _exploration(self, j: int) -> Exploration:
        config, most = self.rounds.config, self.rounds.config.max_rounds

        def told(chain: int, step: int, n_steps: int, note: str) -> None:
            self.progress(
                -1, j, most, f"training, explorer {chain}: {step} of {n_steps} moves, {note}"
            )

        # streams of its own: neither another round's nor those of the chains
        seed = int(stream(self.rounds.seed, "explorers", j).integers(2**62))
        spec = Run(
            seed, self._explorers(j), tag={**self.tag, "rounds": config.model_dump(), "round": j},
            budget=self.watch.of_explorers(config.explorers), stop=self.watch.stop_file,
        )  # fmt: skip
        return Exploration(config.explorers, config.moves, spec, told)

    def _at_maps(
        self, coarse: Posterior, spent: Counters, rng: np.random.Generator
    ) -> MapPoints | None:
        """What the fine model says of its MAP points; None where the coarse model has to do.

        Raises:
            CapabilityError: ``start = "laplace"`` for a model without derivatives.
            RunFailed, SolverDiverged: ``start = "laplace"`` and no MAP point was found.
        """
        config = self.rounds.config
        if config.start == "coarse":
            return None
        fine = self.rounds.recipe()
        if config.start == "auto" and not can_start_at_map(fine):
            return None
        fine.charge(spent)
        try:
            return at_the_maps(fine, coarse, rng, config.explorers, self.watch.look)
        except BudgetSpent:
            raise
        except (RunFailed, SolverDiverged):
            if config.start == "laplace":
                raise
            return None

    def _check_prior(self, data: Any) -> None:
        prior = self.rounds.problem.prior()
        if "probe" not in data or not same_prior(prior, data["probe"]):
            raise ConfigError(
                f"training rounds in {self.folder} belong to another prior, perhaps in the basis "
                "of an older version; start again with --overwrite"
            )


def _damaged(file: Path, kind: str) -> DataSchemaError:
    return DataSchemaError(f"{file} is damaged ({kind}); delete it and continue with --resume")


def _as_surrogate(cheap: Counters) -> Counters:
    """Book what the coarse physics model spent as surrogate evaluations."""
    return Counters(
        n_surrogate=cheap.n_surrogate + cheap.n_forward + cheap.n_tangent + cheap.n_adjoint,
        n_surrogate_failed=cheap.n_surrogate_failed + cheap.n_failed,
    )

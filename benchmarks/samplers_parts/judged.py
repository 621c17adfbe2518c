"""What draws are worth, and the table of it."""

import numpy as np

from pdeinv.bayes.diagnostics import summary


def bulk(xi):
    """Rank-normalised bulk effective sample size of each unknown, of draws (chain, draw, dim)."""
    import arviz_stats.base

    stats = arviz_stats.base.array_stats
    return np.asarray(stats.ess(xi, method="bulk", chain_axis=0, draw_axis=1))


def row(method, xi, warm, total, **more):
    """The figures of a run.

    Args:
        method: its name.
        xi: draws (chain, draw, dim) after the warm-up.
        warm: CPU seconds until the last warm-up step, the search for the MAP point included.
        total: CPU seconds of all.
        more: further columns.
    """
    moves = np.ptp(xi, axis=1).all()
    sizes = bulk(xi) if moves else np.full(xi.shape[-1], np.nan)
    return {
        "method": method, "chains": xi.shape[0], "draws": xi.shape[1],
        "r_hat": summary(xi).r_hat, "ess_median": float(np.median(sizes)),
        "ess_least": float(sizes.min()), "cpu_warm": warm, "cpu_draws": total - warm, **more,
    }  # fmt: skip


def rates(found, which="draws"):
    """Median and least effective sample size for a CPU second of the draws, or in ``all``."""
    seconds = found["cpu_draws"] + (found["cpu_warm"] if which == "all" else 0.0)
    return np.array([found["ess_median"], found["ess_least"]]) / seconds


def table(rows):
    """Lines for print."""
    yield (
        f"{'method':36} chains  draws  R-hat accept gradients  solves  warm-up s  draws s"
        "   ESS med, least   per s of draws    per s in all"
    )
    for r in rows:
        numbers = (r["ess_median"], r["ess_least"], *rates(r), *rates(r, "all"))
        yield (
            f"{r['method']:36} {r['chains']:6} {r['draws']:6} {r['r_hat']:6.3f} "
            f"{r.get('acceptance', np.nan):6.2f} {r['gradients']:9} {r['solves']:7} "
            f"{r['cpu_warm']:10.1f} {r['cpu_draws']:8.1f} " + " ".join(f"{x:8.3g}" for x in numbers)
        )


def ratio(rows, one, other):
    """By how much ``one`` gives more than ``other``: (median, least) of draws, and of all."""
    by_name = {r["method"]: r for r in rows}
    a, b = by_name[one], by_name[other]
    return {which: (rates(a, which) / rates(b, which)).tolist() for which in ("draws", "all")}

"""``pdeinv evaluate``: a surrogate against its reference on fresh draws."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pdeinv.errors import ConfigError

from .options import NoiseFlags, Own, Reproducible, SensorSpec, Settings, verb
from .progress import step_progress
from .settings import load_tables, seed_of, with_flags
from .terminal import Terminal

if TYPE_CHECKING:
    from pdeinv.jobs.evaluate import Request
    from pdeinv.jobs.evaluate_inverse import Told

__all__ = ["evaluate"]


@dataclass(frozen=True)
class Written:
    """What is written beside the table; nothing where no name is given."""

    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="NetCDF file with every draw, prediction and error."),
    ] = None
    figure: Annotated[
        Path | None, typer.Option("--figure", help="Picture of the errors (.png, .pdf, .svg).")
    ] = None
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace existing outputs of pdeinv.")
    ] = False

    @contextmanager
    def owned(self) -> Iterator[None]:
        """Hold what is written while the block runs."""
        from pdeinv.io.lock import owned

        with ExitStack() as held:
            for path in {self.out, self.figure}:
                if path is not None:
                    held.enter_context(owned(path))
            yield

    def check(self, *inputs: Path | None) -> None:
        """Refuse what exists or cannot be written, before any work."""
        from pdeinv.io.atomic import check_output
        from pdeinv.jobs.plot.figure import check_figure_name

        read = [path for path in inputs if path is not None]
        for path, option in ((self.out, "--out"), (self.figure, "--figure")):
            if path is not None:
                check_output(path, overwrite=self.overwrite, option=option, inputs=read)
        if self.figure is not None:
            check_figure_name(self.figure, "--figure")


@verb
def evaluate(
    terminal: Terminal,
    written: Written,
    settings: Settings,
    random: Reproducible,
    noise: NoiseFlags,
    own: Own,
    checkpoint: Annotated[Path, typer.Argument(help="Folder that 'train-surrogate' wrote.")],
    obs: Annotated[
        Path | None,
        typer.Option(
            "--obs", help="Sensors, noise and data; evaluate at draws of their posterior."
        ),
    ] = None,
    around: Annotated[
        Path | None,
        typer.Option("--around", help="Result of 'invert': evaluate at its draws too."),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option("--data", help="Data set or files of fields that a denoiser is tried on."),
    ] = None,
    sensors: SensorSpec = None,
    n: Annotated[int, typer.Option("--n", min=2, help="Draws of each kind.")] = 50,
    level: Annotated[
        int | None, typer.Option("--level", help="Mesh level of the reference; else as trained.")
    ] = None,
) -> None:
    """Compare a surrogate with the reference model at draws that training has not seen.

    Of an inverse: how far estimates are off and whether their spread says so. Of a denoiser: its
    errors at levels of noise beside those of a Wiener filter, and what its draws are like; with
    --data at fields of a data set, and whether its draws repeat them.

    Tells relative errors, errors in units of the noise, the spread of the misfit difference, which
    decides whether an inversion may trust the surrogate, and how much faster it is (CPU time). With
    --obs the draws are those of the Laplace approximation of that posterior.
    """
    from pdeinv.io.observations import NoiseSpec
    from pdeinv.jobs.comparison import summary
    from pdeinv.jobs.evaluate import Request, compare
    from pdeinv.jobs.evaluated_by_role import check_data
    from pdeinv.model.learned import Role

    inputs = (checkpoint, obs, around, data, settings.config)
    written.check(*inputs)
    tables = own.into(with_flags(load_tables(settings), seed=random.seed, **noise.flags()))
    seed = seed_of(tables)
    spec = NoiseSpec(**tables.get("noise", {}))
    request = Request(checkpoint, tables, obs, around, sensors, spec, n, seed, level, data)
    with written.owned(), step_progress(terminal, "evaluate") as step:
        written.check(*inputs)  # again, now that nobody else writes there
        role = request.role
        check_data(request)
        if role is Role.INVERSE:
            _inverse(terminal, written, request, step)
            return
        if role is Role.DENOISER:
            _denoiser(terminal, written, request)
            return
        found = compare(request, lambda done, total: step(done, total, ""))
        figures = {"checkpoint": str(checkpoint), "seed": seed, **summary(found)}
        paths = _write(written, found, figures, (obs, around))
    for path in paths:
        terminal.note(f"written: {path}")
    terminal.result(figures, *_tables(terminal, figures))


def _inverse(
    terminal: Terminal, written: Written, request: Request, step: Callable[[int, int, str], None]
) -> None:
    """The same of an inverse."""
    from pdeinv.jobs.evaluate_images import told
    from pdeinv.jobs.evaluate_inverse import fresh

    if written.figure is not None:
        raise ConfigError("--figure shows surrogates of role 'forward'; of an inverse use --out")
    found = told(fresh(request, lambda done, total: step(done, total, "")))
    _tell(terminal, written, request, found, ("estimates from fresh data", "components"))


def _denoiser(terminal: Terminal, written: Written, request: Request) -> None:
    """The same of a denoiser."""
    from pdeinv.jobs.evaluate_denoiser import examine, told
    from pdeinv.jobs.plot.sheet import sheets

    seen = examine(request)
    if written.figure is not None:
        variable = seen.own.space.variables[0]
        clean, drawn = (
            seen.fields(z).reshape(-1, *variable.shape) for z in (seen.clean, seen.drawn)
        )
        sheets(clean, drawn, written.figure, seen.label, f"fields: {seen.whose}")
        terminal.note(f"written: {written.figure}")
    _tell(terminal, written, request, told(seen), ("denoising fresh fields", "rms errors by level"))


def _tell(
    terminal: Terminal, written: Written, request: Request, found: Told, titles: tuple[str, str]
) -> None:
    """Write the numbers where they are wanted, and show the figures."""
    import xarray as xr

    from pdeinv.io import netcdf
    from pdeinv.provenance import Source, attributes

    first = {"checkpoint": str(request.checkpoint), "seed": request.seed}
    figures = {**first, **found.figures}
    if written.out is not None:
        read = (request.checkpoint, request.obs, request.data)
        files = (path for path in read if path is not None)
        attrs = attributes(first, request.seed, map(Source.of, files))
        kind = {"pdeinv_kind": "evaluation", "pdeinv_problem": figures["problem"]}
        root = found.root.assign_attrs({**attrs, **kind})
        netcdf.write(written.out, xr.DataTree.from_dict({"/": root}))
        terminal.note(f"written: {written.out}")
    rows = [(k, v) for k, v in figures.items() if k not in ("components", "verdict")]
    each = figures.get("components", ())
    tables = [terminal.table(titles[0], ("figure", "value"), rows)]
    if each:
        columns = [tuple(one.values()) for one in each]
        tables.append(terminal.table(titles[1], tuple(each[0]), columns))
    terminal.result(figures, *tables, f"verdict: {figures['verdict']}")


def _write(
    written: Written, found: Any, figures: Mapping[str, Any], inputs: tuple[Path | None, ...]
) -> list[Path]:
    from pdeinv.io import netcdf
    from pdeinv.io.atomic import together
    from pdeinv.jobs.comparison import to_tree
    from pdeinv.jobs.plot.comparison import figure
    from pdeinv.provenance import Source, attributes

    paths = [path for path in (written.out, written.figure) if path is not None]
    with together(*paths) as targets:
        for path, target in zip(paths, targets, strict=True):
            if path == written.figure:
                figure(found, target)
                continue
            files = (Path(figures["checkpoint"]), *(p for p in inputs if p is not None))
            config = {k: figures[k] for k in ("checkpoint", "noise_from", "data_from")}
            attrs = attributes(config, figures["seed"], map(Source.of, files))
            netcdf.write(target, to_tree(found, attrs))
    return paths


def _tables(terminal: Terminal, figures: Mapping[str, Any]) -> Iterator[Any]:
    regions = figures["regions"]
    names = list(dict.fromkeys(k for values in regions.values() for k in values))
    title = f"{figures['surrogate']} for {figures['problem']}, {figures['data']} data"
    rows = [(k, *(values.get(k) for values in regions.values())) for k in names]
    yield terminal.table(title, ("figure", *regions), rows)
    ratios = [(k, v) for k, v in figures.items() if k.startswith("speed_ratio")]
    seconds = [(f"{k} (CPU s)", v) for k, v in figures["cpu_seconds"].items()]
    yield terminal.table("one evaluation", ("figure", "value"), [*seconds, *ratios])
    columns = ("region", "sample", "rms_over_sigma", "relative_l2", "xi_norm")
    worst = [tuple(case[c] for c in columns) for case in figures["worst"]]
    yield terminal.table("worst cases", columns, worst)
    yield f"noise from {figures['noise_from']}, data from {figures['data_from']}"
    yield f"verdict: {figures['verdict']}"

"""--overwrite and --resume replace what pdeinv wrote, and leave everything else alone."""

import pytest

MAP = ("invert", "obs.nc", "--config", "small.toml", "--engine", "map", "--seed", 1)
SMALL = ("--config", "small.toml", "--seed", 1)
SET = ("generate", "--obs", "obs.nc", "--n", 20, "--seed", 1)
NETWORK = ("solve", *SMALL, "--solver", "pinn")
TRAINING = ("train-surrogate", "latent", "--data", "data.nc", "--seed", 1)
TAKEN = {
    "solve": (("solve", *SMALL, "--out"), "--overwrite"),
    "solve --solver pinn": ((*NETWORK, "--out"), "--overwrite"),
    "solve --resume": ((*NETWORK, "--out"), "--resume"),
    "solve --vtk": (("solve", *SMALL, "--out", "t.nc", "--vtk"), "--overwrite"),
    "observe": (
        ("observe", "truth.nc", "--sensors", "all", "--noise-rel", 0.1, "--out"),
        "--overwrite",
    ),
    "generate": ((*SET, "--out"), "--overwrite"),
    "generate --resume": ((*SET, "--out"), "--resume"),
    "generate --assemble": ((*SET, "--out"), "--assemble"),
    "train-surrogate": ((*TRAINING, "--out"), "--overwrite"),
    "train-surrogate --resume": ((*TRAINING, "--out"), "--resume"),
    "invert": ((*MAP, "--out"), "--overwrite"),
    "invert --resume": ((*MAP, "--out"), "--resume"),
    "invert --dry-run": ((*MAP, "--dry-run", "--out"), "--overwrite"),
    "plot": (("plot", "obs.nc", "--out"), "--overwrite"),
    "export": (("export", "truth.nc", "--vtk"), "--overwrite"),
    "evaluate": (("evaluate", "surrogate", "--out"), "--overwrite"),
    "evaluate --figure": (("evaluate", "surrogate", "--figure"), "--overwrite"),
    "import": (("import", "eit", "pyeit", "frame.txt", "--out"), "--overwrite"),
}


def contents(folder):
    return {
        str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None
        for p in folder.rglob("*")
    }


def refused(result, folder, before):
    assert result.exit_code == 2, result.stderr
    assert "carries no mark of pdeinv" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert contents(folder) == before


def folder_of_somebody(path):
    path.mkdir()
    (path / "thesis.txt").write_text("precious")
    (path / "config.toml").write_text("seed = 1\n")


@pytest.mark.parametrize("kind", ["file", "folder"])
@pytest.mark.parametrize("verb", TAKEN)
def test_somebody_elses_output_is_refused_in_one_line(verb, kind, call, work):
    words, flag = TAKEN[verb]
    out = work / "taken.png"
    if kind == "file":
        out.write_text("precious")
    else:
        folder_of_somebody(out)
    before = contents(work)
    refused(call(*words, out, flag), work, before)


@pytest.mark.parametrize("verb", [v for v, (_, flag) in TAKEN.items() if flag == "--overwrite"])
def test_an_output_that_exists_names_the_options_that_the_verb_has(verb, call, work):
    words, _ = TAKEN[verb]
    (work / "taken.png").write_text("precious")
    said = call(*words, "taken.png").stderr
    can_resume = verb.startswith(("generate", "train", "invert", "solve --solver"))
    ways = "--overwrite or --resume" if can_resume else "--overwrite"
    own = words[-1] if words[-1] in ("--vtk", "--figure") else "--out"
    assert f"taken.png already exists; add {ways}, or choose another {own}\n" in said
    assert not can_resume or "--resume" in call(words[0], "--help").stdout


@pytest.mark.parametrize(
    "verb",
    [
        *("solve --solver pinn", "solve --resume", "generate", "generate --resume"),
        *("train-surrogate", "train-surrogate --resume", "invert", "invert --resume"),
    ],
)
def test_somebody_elses_run_folder_is_refused_too(verb, call, work):
    words, flag = TAKEN[verb]
    folder_of_somebody(work / "new.nc.run")
    before = contents(work)
    refused(call(*words, "new.nc", flag), work, before)


def test_what_lies_where_the_configuration_goes_is_refused_before_the_run(call, work):
    (work / "r.nc.toml").write_text("# notes\n")
    before = contents(work)
    refused(call(*MAP, "--out", "r.nc"), work, before)


REPEATED = {
    "solve": ("solve", *SMALL, "--vtk", "v.vtkhdf", "--out", "t.nc"),
    "observe": ("observe", "truth.nc", "--sensors", "all", "--noise-rel", 0.1, "--out", "o.nc"),
    "invert": (*MAP, "--out", "r.nc"),
    "plot": ("plot", "truth.nc", "--out", "t.svg"),
    "export": ("export", "truth.nc", "--vtk", "t.vtkhdf"),
}


@pytest.mark.parametrize("verb", REPEATED)
def test_own_outputs_are_replaced(verb, call, work):
    words = REPEATED[verb]
    for flags in ((), ("--overwrite",)):
        done = call(*words, *flags)
        assert done.exit_code == 0, done.stderr
    assert call(*words).exit_code == 2
    assert "already exists" in call(*words).stderr


def test_a_result_goes_on_with_the_marks_it_left(call, work):
    assert call(*MAP, "--out", "r.nc").exit_code == 0
    done = call(*MAP, "--out", "r.nc", "--resume")
    assert done.exit_code == 0, done.stderr
    assert (work / "r.nc.toml").read_text().startswith("# written by pdeinv ")


@pytest.mark.usefixtures("solves_here")
def test_data_sets_and_surrogates_are_replaced(call, work):
    for flags in ((), ("--overwrite",), ("--resume",)):
        done = call(*SET, "--out", "data.nc", *flags)
        assert done.exit_code == 0, done.stderr
    short = ("--set", "surrogate.epochs=2", "--out", "surrogate")
    for flags in ((), ("--overwrite",), ("--resume",)):
        done = call(*TRAINING, *short, *flags)
        assert done.exit_code == 0, done.stderr
    assert {p.name for p in (work / "surrogate").iterdir()} == {
        "metadata.json",
        "weights.safetensors",
    }


READ = {
    "observe": (("observe", "truth.nc", "--sensors", "all", "--noise-rel", 0.1), "truth.nc"),
    "invert": (MAP, "obs.nc"),
    "generate": (SET, "obs.nc"),
    "generate --around": ((*SET, "--around", "r.nc"), "r.nc"),
    "plot": (("plot", "obs.nc"), "obs.nc"),
    "solve --m": (("solve", *SMALL, "--m", "truth.nc"), "truth.nc"),
    "evaluate": (("evaluate", "surrogate", "--obs", "obs.nc"), "obs.nc"),
    "export --vtk": (("export", "truth.nc"), "truth.nc"),
    "solve --vtk": (("solve", *SMALL, "--m", "truth.nc", "--out", "t.nc"), "truth.nc"),
    "evaluate --figure": (("evaluate", "surrogate", "--obs", "obs.nc"), "obs.nc"),
    "import": (("import", "eit", "pyeit", "obs.nc"), "obs.nc"),
}


@pytest.mark.parametrize("alias", ["itself", "a link", "another way"])
@pytest.mark.parametrize("verb", READ)
def test_what_is_read_is_never_written_over(verb, alias, call, work):
    words, source = READ[verb]
    if verb == "generate --around":
        assert call(*MAP[:-3], "laplace", "--seed", 1, "--out", "r.nc").exit_code == 0
    out = work / source
    if alias == "a link":
        out = work / "link.nc"
        out.symlink_to(work / source)
    elif alias == "another way":
        (work / "sub").mkdir()
        out = work / "sub" / ".." / source
    before = contents(work)
    option = verb.split()[-1] if verb.endswith(("--vtk", "--figure")) else "--out"
    result = call(*words, option, out, "--overwrite")
    assert result.exit_code == 2, result.stderr
    assert f"which is read; choose another {option}" in result.stderr
    assert contents(work) == before


def test_a_run_folder_that_holds_an_input_is_not_thrown_away(call, work):
    inside = work / "r.nc.run" / "surrogate"
    inside.mkdir(parents=True)
    (work / "r.nc.run" / "pdeinv.json").write_text('{"pdeinv_version": "0"}')
    (inside / "metadata.json").write_text('{"surrogate": "latent"}')
    before = contents(work)
    result = call(*MAP, "--surrogate", inside, "--out", "r.nc", "--overwrite")
    assert "which is read; choose another --out" in result.stderr
    assert contents(work) == before


def test_a_file_in_the_place_of_a_folder_and_the_other_way_round(call, work):
    """Both are pdeinv's own: a surrogate is a folder, and a result a file."""
    kept = work / "surrogate"
    kept.mkdir()
    (kept / "metadata.json").write_text('{"surrogate": "latent"}')
    before = contents(work)
    for words, text in (
        ((*TRAINING, "--out", "truth.nc"), "is a file, and a folder is written there"),
        ((*MAP, "--out", "surrogate"), "is a folder, and a file is written there"),
    ):
        result = call(*words, "--overwrite")
        assert result.exit_code == 2
        assert text in result.stderr
        assert contents(work) == before


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("x" * 245, "has 245 bytes, expected at most 240; choose a shorter --out"),
        ("é" * 121 + ".nc", "has 245 bytes"),
        ("..", "names no file; choose another --out"),
        ("/", "names no file"),
    ],
)
@pytest.mark.parametrize("verb", ["solve", "invert", "generate", "train-surrogate", "plot"])
def test_a_name_that_cannot_be_written_is_refused_first(verb, name, text, call, work):
    words, _ = TAKEN[verb]
    before = contents(work)
    result = call(*words, name)
    assert result.exit_code == 2, result.stderr
    assert text in result.stderr
    assert contents(work) == before


def test_the_longest_name_that_is_allowed_works(call, work):
    done = call(*MAP, "--out", "x" * 240)
    assert done.exit_code == 0, done.stderr

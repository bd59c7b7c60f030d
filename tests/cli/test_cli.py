"""The command line: every option, exit code and error sentence, through the real command."""

import html
import inspect
import io
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import click
import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest
from click.testing import CliRunner
from rich.cells import cell_len
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

import mixtura
from mixtura import choice
from mixtura.cli import main
from mixtura.cli.options import FORMATS, as_counts
from mixtura.sources.files import read_table, write_table

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
PAGE = ROOT / "docs" / "cli.md"
COMMANDS = ("fit", "select", "score", "compare", "merge", "sample", "show", "export")
HEAVY = {"numpy", "scipy", "sklearn", "numba", "pyarrow", "rich", "pandas", "mixtura.io", "mixtura.result"}
HOSTILE = ("[red]a[/red]", "\x1b[31mevil\x1b[0m", "x\u202ey", "new\nline", "量子的なとても長い名前の列でございます")

needs_terminals = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals")


def run(*args, stdin=None, **env):
    """The command in this process: exit code, standard output, standard error."""
    result = CliRunner().invoke(main, [str(arg) for arg in args], input=stdin, env=env)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def arguments(*args):
    return [sys.executable, "-m", "mixtura", *map(str, args)]


#: The files of a fit, where the table is CSV.
WRITTEN = ["components.csv", "labels.csv", "model.mixtura", "report.html", "report.md", "summary.json"]
#: The same program with bars that do not wait until two seconds are over.
AT_ONCE = "import mixtura.progress as p, mixtura.cli as c; p.DELAY = p.PERIOD = 0.0; c.main(prog_name='mixtura')"


def environment(**env):
    """Of a process of its own: this library, no colours asked for or forbidden, no width set."""
    unset = {"NO_COLOR", "FORCE_COLOR", "COLUMNS", "PYTHONUNBUFFERED"}
    kept = {key: value for key, value in os.environ.items() if key not in unset}
    path = str(Path(mixtura.__file__).parents[1])
    return {**kept, "PYTHONPATH": path, "PYTHONIOENCODING": "utf-8", "TERM": "xterm", **env}


def process(*args, **options):
    """The command in a process of its own."""
    options.setdefault("env", environment())
    return subprocess.run(arguments(*args), capture_output=True, check=False, timeout=50, **options)


def on_a_terminal(*args, stream="stderr", interrupt_at=None, at_once=False, **env):
    """The command with one of its streams on a terminal: exit code, and what the terminal got."""
    import pty

    ours, theirs = pty.openpty()
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, stream: theirs}
    command = [sys.executable, "-c", AT_ONCE, *map(str, args)] if at_once else arguments(*args)
    with subprocess.Popen(command, env=environment(**env), **streams) as started:
        os.close(theirs)
        text = ""
        while True:
            try:
                got = os.read(ours, 1 << 16)
            except OSError:  # so Linux says that the other end is closed
                break
            if not got:
                break
            text += got.decode("utf-8", "replace")
            if interrupt_at is not None and interrupt_at in text:
                started.send_signal(signal.SIGINT)
                interrupt_at = None
        started.communicate(timeout=50)
    os.close(ours)
    return started.returncode, text


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(5)
    return np.concatenate([rng.normal([0, 10], [1, 2], (40, 2)), rng.normal([9, 20], [2, 1], (60, 2))])


@pytest.fixture(scope="module")
def columns(rows):
    return {
        "length": rows[:, 0],
        "kind": ["short"] * 40 + ["long"] * 60,
        "width": rows[:, 1],
        "count": np.arange(100) % 3,
    }


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch, columns):
    monkeypatch.chdir(tmp_path)
    for name in ("NO_COLOR", "FORCE_COLOR", "MIXTURA_DEBUG", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    write_table(pa.table(columns), "table.csv")


@pytest.fixture(scope="module")
def model(rows, tmp_path_factory):
    """A model file that Python wrote."""
    fitted = mixtura.fit(pa.table({"length": rows[:, 0], "width": rows[:, 1]}), 2, "full", random_state=0).model
    path = tmp_path_factory.mktemp("model") / "made.mixtura"
    mixtura.save(fitted, path)
    return path


QUICK = ("--columns", "length,width", "-k", "2", "--covariance", "full", "--starts", "1")


def reference(mixture, rows):
    """Log densities and responsibilities by SciPy."""
    joint = np.stack(
        [
            np.log(w) + multivariate_normal(m, s).logpdf(rows)
            for w, m, s in zip(mixture.weights, mixture.means, mixture.covariances, strict=True)
        ],
        axis=1,
    )
    density = logsumexp(joint, axis=1)
    return density, np.exp(joint - density[:, None])


def csv_of(text):
    return pyarrow.csv.read_csv(io.BytesIO(text.encode() if isinstance(text, str) else text))


def json_of(result):
    return json.loads(result.stdout)


# Help


@pytest.mark.parametrize("args", [["--help"], ["--version"], ["fit", "--help"], ["fit"], ["fit", "t", "-k", "0"]])
def test_nothing_heavy_is_imported_before_a_command_needs_it(args):
    code = (
        "import sys\nfrom mixtura.cli import main\n"
        f"try: main({args!r})\nexcept SystemExit: pass\n"
        f"print('heavy:', sorted({HEAVY!r} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=50, env=environment())
    assert done.stdout.endswith("heavy: []\n")


def test_version():
    assert run("--version").stdout == f"mixtura, version {mixtura.__version__}\n"


def test_help_names_the_commands_and_the_exit_codes():
    text = run("--help").stdout
    assert all(name in text for name in COMMANDS)
    assert "0 done, 1 error, 2 misuse, 3 finished without converging" in " ".join(text.split())


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_has_help(command):
    options = [p for p in main.commands[command].params if isinstance(p, click.Option)]
    assert options
    assert [o.name for o in options if not o.help and o.name != "rows"] == []
    assert all(max(o.opts, key=len) in run(command, "-h").stdout for o in options)


def test_defaults_and_choices_are_those_of_the_library():
    defaults = {o.name: o.default for o in main.commands["fit"].params}
    library = {name: p.default for name, p in inspect.signature(mixtura.fit).parameters.items()}
    assert as_counts(defaults["components"]) == list(library["n_components"])
    assert [defaults[name] for name in ("criterion", "tol", "max_iter", "starts")] == [
        library[name] for name in ("criterion", "tol", "max_iter", "n_init")
    ]
    (criterion,) = (o for o in main.commands["fit"].params if o.name == "criterion")
    assert tuple(criterion.type.choices) == choice.CRITERIA


# fit


def test_the_readmes_first_command_tries_and_shows_everything():
    done = process("fit", "examples/faithful.csv", cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, b"")
    text = done.stdout.decode()
    assert text.startswith("3 components, tied covariance (EEE), in 272 rows × 2 columns\n")
    assert "from 126 candidates: K = 1 to 9; full, tied, diag, spherical, eii," in text
    for part in (
        "35.6 %  █████████ ",
        "47.5 %  ████████████",
        "2.038 ± 0.279  54.49 ± 5.80",
        "2,314.30  chosen",
        "Converged",
    ):
        assert part in text
    assert text.endswith("    mixtura fit examples/faithful.csv --out fitted\n")


@pytest.mark.parametrize(
    ("options", "asked"),
    [
        (["-k", "3"], {"n_components": 3}),
        (["--components", "1:2,4"], {"n_components": [1, 2, 4]}),
        (["--covariance", "EEE, spherical"], {"covariance": ["tied", "spherical"]}),
        (["--covariance", "vee,EEI"], {"covariance": ["vee", "eei"]}),
        (["--covariance", "all", "-k", "2"], {"covariance": "all", "n_components": 2}),
        (["--columns", "width"], {"columns": ["width"]}),
        (["--columns", "width, length"], {"columns": ["width", "length"]}),
        (["--weights", "count"], {"sample_weight": "count"}),
        (["--criterion", "icl", "-k", "1:4"], {"criterion": "icl", "n_components": range(1, 5)}),
        (["--criterion", "aic", "-k", "1:4"], {"criterion": "aic", "n_components": range(1, 5)}),
        (["--starts", "3", "-k", "4"], {"n_init": 3, "n_components": 4}),
        (["--tol", "0.01"], {"tol": 0.01}),
        (["--max-iter", "3", "-k", "3"], {"max_iter": 3, "n_components": 3}),
        (["--reg-covar", "4"], {"reg_covar": 4.0}),
        (["--seed", "7", "-k", "4"], {"random_state": 7, "n_components": 4}),
        (["--threads", "1"], {"n_threads": 1}),
        (["--input-format", "csv"], {}),
    ],
)
def test_options_mean_what_they_do_in_python(options, asked):
    defaults = {"n_components": 2, "covariance": "full", "n_init": 1, "columns": ["length", "width"], "random_state": 0}
    expected = mixtura.fit("table.csv", **{**defaults, **asked}).summary()
    result = run("fit", "table.csv", *QUICK, *options, "--json", "--quiet")
    got = json_of(result)
    assert result.exit_code == (0 if expected["chosen"]["converged"] else 3)
    assert {key: got[key] for key in expected} == json.loads(json.dumps(expected))


def test_json_says_what_was_done_too():
    got = json_of(run("fit", "table.csv", "-k", "1:2", "--covariance", "tied", "--json"))
    assert got["mixtura"] == mixtura.__version__
    assert got["command"] == "mixtura fit table.csv --components 1:2 --covariance tied"
    assert (got["seed"], got["table"]) == (0, "table.csv")
    assert got["left_out"] == {"kind": "text ('short' in row 1, rows counted from 1)"}
    assert got["columns"] == ["length", "width", "count"]


def test_a_column_name_with_a_comma_can_be_quoted(rows):
    write_table(pa.table({"a,b": rows[:, 0], "c": rows[:, 1]}), "commas.csv")
    assert json_of(run("fit", "commas.csv", "--columns", '"a,b",c', "-k", "1", "--json"))["columns"] == ["a,b", "c"]


def test_out_writes_model_labels_and_summary(rows):
    result = run("fit", "table.csv", *QUICK, "--out", "deep/fitted")
    assert result.exit_code == 0
    written = "model.mixtura, labels.csv, summary.json, report.html, report.md, components.csv"
    assert result.stderr.replace(os.sep, "/") == f"Wrote {written} into deep/fitted.\n"
    assert sorted(p.name for p in Path("deep/fitted").iterdir()) == WRITTEN
    names = ["deep/fitted/model.mixtura", "deep/fitted/labels.csv", "deep/fitted/summary.json"]
    saved = mixtura.load(names[0])
    assert (
        saved.mixture
        == mixtura.fit("table.csv", 2, "full", columns=["length", "width"], n_init=1, random_state=0).model
    )
    labels = csv_of(Path(names[1]).read_bytes()).to_pydict()
    assert list(labels) == ["label", "probability", "log_density", "p0", "p1"]
    density, share = reference(saved.mixture, rows)
    np.testing.assert_allclose(labels["log_density"], density, rtol=1e-9)
    np.testing.assert_allclose(np.transpose([labels["p0"], labels["p1"]]), share, rtol=1e-9, atol=1e-12)
    assert labels["label"] == share.argmax(1).tolist()
    np.testing.assert_allclose(labels["probability"], share.max(1), rtol=1e-9)
    summary = json.loads(Path(names[2]).read_text())
    assert summary == json_of(run("fit", "table.csv", *QUICK, "--json"))


def test_the_model_remembers_its_fit():
    run("fit", "table.csv", *QUICK, "--seed", "3", "--weights", "count", "--out", "fitted")
    saved = mixtura.load("fitted/model.mixtura")
    summary = json.loads(Path("fitted/summary.json").read_text())
    told = saved.metadata
    assert saved.family == "full"
    assert saved.mixture.columns == ("length", "width")
    assert told["command"] == (
        "mixtura fit table.csv --components 2 --covariance full --columns length,width "
        "--weights count --starts 1 --seed 3"
    )
    assert (told["seed"], told["rows"], told["weight"], told["criterion"]) == (3, 100, 99.0, "bic")
    for key in ("loglik", "bic", "icl", "aic", "status", "converged", "gap", "gradient_norm", "passes", "starts"):
        assert told["chosen"][key] == summary["chosen"][key]
    assert told["chosen"]["status"] == "converged"


def test_an_existing_output_is_kept_unless_forced():
    assert run("fit", "table.csv", *QUICK, "--out", "fitted").exit_code == 0
    before = {p.name: p.read_bytes() for p in Path("fitted").iterdir()}
    Path("fitted/labels.csv").unlink()
    refused = run("fit", "table.csv", *QUICK, "--seed", "1", "--out", "fitted")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert refused.stderr == (
        "Error: fitted holds model.mixtura, summary.json, report.html, report.md, components.csv already: "
        "choose another folder, or replace them with --force\n"
    )
    assert sorted(p.name for p in Path("fitted").iterdir()) == [name for name in WRITTEN if name != "labels.csv"]
    assert Path("fitted/model.mixtura").read_bytes() == before["model.mixtura"]
    assert run("fit", "table.csv", *QUICK, "--seed", "1", "--out", "fitted", "--force").exit_code == 0
    assert json.loads(Path("fitted/summary.json").read_text())["seed"] == 1


def test_other_files_in_the_folder_are_left_alone():
    assert run("fit", "table.csv", *QUICK, "--out", ".").exit_code == 0
    assert sorted(p.name for p in Path().iterdir()) == [*WRITTEN, "table.csv"]


def test_the_report_lies_beside_the_model_unless_it_is_not_wanted():
    run("fit", "table.csv", *QUICK, "-k", "1:2", "--out", "with it")
    page, plain = (Path("with it", name).read_text(encoding="utf-8") for name in ("report.html", "report.md"))
    summary = json.loads(Path("with it", "summary.json").read_text())
    for text in (page, plain):
        assert summary["fingerprint"] in text
        assert "mixtura score 'with it/model.mixtura' table.csv" in html.unescape(text)
    components = csv_of(Path("with it", "components.csv").read_bytes()).to_pydict()
    assert components["mean length"] == [part["mean"]["length"] for part in summary["components"]]
    assert run("fit", "table.csv", *QUICK, "--out", "without", "--no-report").exit_code == 0
    assert sorted(p.name for p in Path("without").iterdir()) == ["labels.csv", "model.mixtura", "summary.json"]
    alone = run("fit", "table.csv", *QUICK, "--report")
    assert (alone.exit_code, "--report needs --out" in alone.stderr) == (2, True)


def test_a_remedy_is_a_command_in_the_report():
    run("fit", "table.csv", *QUICK, "--max-iter", "1", "--out", "fitted")
    assert "mixtura fit table.csv" in (text := Path("fitted/report.md").read_text())
    assert "--max-iter 10" in text


def test_a_failed_fit_leaves_no_folder():
    assert run("fit", "table.csv", "-k", "101", "--out", "fitted").exit_code == 1
    assert not Path("fitted").exists()


def test_finished_without_converging():
    result = run("fit", "table.csv", *QUICK, "-k", "3", "--max-iter", "2", "--out", "fitted")
    assert result.exit_code == 3
    assert "limit of passes" in result.stdout
    assert mixtura.load("fitted/model.mixtura").metadata["chosen"]["converged"] is False
    again = run("fit", "table.csv", *QUICK, "-k", "3", "--max-iter", "2", "--json")
    assert again.exit_code == 3
    assert "limit of passes" in again.stderr
    assert run("fit", "table.csv", *QUICK, "-k", "3", "--max-iter", "2", "--json", "-q").stderr == ""


def unwrapped(text):
    """Without the line breaks of wrapped sentences."""
    return " ".join(text.split())


def test_numbers_of_components_that_the_rows_cannot_hold_are_named():
    Path("few.csv").write_text("a\n1\n2\n4\n")
    result = run("fit", "few.csv", "-k", "1,4,7", "--covariance", "tied")
    assert "Could not be fitted: 4 tied, 7 tied (3 rows cannot hold that many components)." in unwrapped(result.stdout)


def proposed(text):
    """The commands to copy, each in one line."""
    after = text.split("\nNext\n")[1].replace(" \\\n", " ")
    return [" ".join(line.split()) for line in after.splitlines() if line.startswith("    ")]


def test_the_commands_that_are_proposed_run():
    first = run("fit", "table.csv", *QUICK)
    (keep,) = proposed(first.stdout)
    kept = run(*shlex.split(keep)[1:])
    assert kept.exit_code == 0
    page, *commands = proposed(kept.stdout)
    assert Path(page).is_file()
    assert [command.split()[1] for command in commands] == ["show", "score", "sample"]
    assert [run(*shlex.split(command)[1:]).exit_code for command in commands] == [0, 0, 0]


def test_more_is_proposed_where_more_may_help():
    result = run("fit", "table.csv", "--columns", "length,width", "-k", "1:2", "--covariance", "full", "--starts", "1")
    further = "mixtura fit table.csv --components 2:4 --columns length,width --covariance full --starts 1"
    assert sorted(shlex.split(further)) in [sorted(shlex.split(line)) for line in proposed(result.stdout)]
    stopped = run("fit", "table.csv", *QUICK, "-k", "3", "--max-iter", "2").stdout
    assert any("--max-iter 20" in command for command in proposed(stopped))


def test_a_long_command_is_broken_so_that_it_can_be_copied(rows):
    name = "a folder with a long name/" + "x" * 30 + ".csv"
    Path("a folder with a long name").mkdir()
    write_table(pa.table({"some column": rows[:, 0], "another": rows[:, 1]}), name)
    text = run("fit", name, "-k", "2", "--covariance", "full", "--columns", "some column,another").stdout
    assert " \\\n      --components 2" in text
    assert max(map(len, text.splitlines())) <= 80
    assert run(*shlex.split(proposed(text)[-1])[1:]).exit_code == 0


# score, sample, show


def test_score_gives_the_labels_that_fit_wrote():
    run("fit", "table.csv", *QUICK, "--out", "fitted")
    result = run("score", "fitted/model.mixtura", "table.csv")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout_bytes == Path("fitted/labels.csv").read_bytes()


def test_score_matches_columns_by_name(model, columns):
    straight = run("score", model, "table.csv").stdout
    write_table(pa.table(columns).select(["width", "kind", "length"]), "turned.csv")
    assert run("score", model, "turned.csv").stdout == straight
    write_table(pa.table(columns).rename_columns(["a", "b", "c", "d"]), "renamed.csv")
    assert run("score", model, "renamed.csv", "--columns", "a,c").stdout == straight
    missing = run("score", model, "renamed.csv")
    assert (missing.exit_code, missing.stdout) == (1, "")
    assert missing.stderr == "Error: renamed.csv has no column 'length': it has 'a', 'b', 'c', 'd'\n"


def test_a_model_without_names_takes_the_numeric_columns_in_order(model, rows):
    named = mixtura.load(model).mixture
    mixtura.save(mixtura.Mixture(named.weights, named.means, named.covariances), "unnamed.mixtura")
    np.save("rows.npy", rows)
    assert run("score", "unnamed.mixtura", "rows.npy").exit_code == 0
    wrong = run("score", "unnamed.mixtura", "table.csv")
    assert wrong.exit_code == 1
    assert wrong.stderr.endswith(
        "Error: unnamed.mixtura is a model of 2 columns, but 3 of table.csv were taken (length, width, count): "
        "name the right ones with --columns\n"
    )
    assert "Left out column 'kind'" in wrong.stderr
    assert run("score", "unnamed.mixtura", "table.csv", "--columns", "length,width", "--quiet").stderr == ""
    assert csv_of(run("sample", "unnamed.mixtura", "-n", "1").stdout).column_names == ["x1", "x2"]


def test_totals(model, rows):
    density = reference(mixtura.load(model).mixture, rows)[0]
    got = json_of(run("score", model, "table.csv", "--total", "--json"))
    free = 1 + 2 * 2 + 2 * 3
    assert got["n_parameters"] == free
    np.testing.assert_allclose(got["loglik"], density.sum(), rtol=1e-12)
    np.testing.assert_allclose(got["mean_loglik"], density.mean(), rtol=1e-12)
    np.testing.assert_allclose(got["bic"], free * np.log(100) - 2 * density.sum(), rtol=1e-12)
    text = run("score", model, "table.csv", "--total").stdout
    assert f"{density.sum():,.4f}" in text
    assert "sum of weights" not in text
    weight = np.arange(100) % 3
    got = json_of(run("score", model, "table.csv", "--total", "--json", "--weights", "count"))
    assert (got["rows"], got["weight"]) == (100, 99.0)
    np.testing.assert_allclose(got["mean_loglik"], density @ weight / 99, rtol=1e-12)
    assert "sum of weights  99" in run("score", model, "table.csv", "--total", "--weights", "count").stdout


def test_totals_are_those_of_the_fit():
    run("fit", "table.csv", *QUICK, "--out", "fitted")
    told = mixtura.load("fitted/model.mixtura").metadata["chosen"]
    got = json_of(run("score", "fitted/model.mixtura", "table.csv", "--total", "--json"))
    np.testing.assert_allclose([got["loglik"], got["bic"]], [told["loglik"], told["bic"]], rtol=1e-12)


def test_sample_draws_what_python_draws(model):
    mixture = mixtura.load(model).mixture
    rows, labels = mixture.sample(50, 3, return_labels=True)
    drawn = csv_of(run("sample", model, "-n", "50", "--seed", "3").stdout)
    assert drawn.column_names == ["length", "width"]
    np.testing.assert_array_equal(np.transpose([*drawn.to_pydict().values()]), rows)
    labelled = csv_of(run("sample", model, "--rows", "50", "--seed", "3", "--labels").stdout)
    assert labelled.column_names == ["label", "length", "width"]
    assert labelled["label"].to_pylist() == labels.tolist()
    assert labelled.drop_columns("label") == drawn


def test_sample_without_a_seed_differs_each_time(model):
    assert run("sample", model, "-n", "5").stdout != run("sample", model, "-n", "5").stdout
    assert len(run("sample", model).stdout.splitlines()) == 1001
    assert run("sample", model, "-n", "0").stdout == '"length","width"\n'


def test_sample_keeps_a_column_called_label():
    mixtura.save(mixtura.Mixture([1], [[0]], [[[1]]], columns=["label"]), "m.mixtura")
    assert run("sample", "m.mixtura", "-n", "1").stdout.startswith('"label"\n')
    result = run("sample", "m.mixtura", "--labels")
    assert result.exit_code == 1
    assert result.stderr == "Error: m.mixtura has a column 'label' of its own: leave --labels out\n"


def test_samples_and_scores_chain_through_standard_input_and_output(model):
    drawn = run("sample", model, "-n", "30", "--seed", "1", "--labels").stdout
    assert run("score", model, "-", stdin=drawn).stdout == run("score", model, "-", "--out", "-", stdin=drawn).stdout
    fitted = run("fit", "-", "-k", "2", "--covariance", "full", "--columns", "length,width", "--json", stdin=drawn)
    assert json_of(fitted)["rows"] == 30
    arrow = run("sample", model, "-n", "30", "--seed", "1", "--output-format", "arrow").stdout_bytes
    scored = run("score", model, "-", "--output-format", "parquet", stdin=arrow).stdout_bytes
    Path("scored.parquet").write_bytes(scored)
    text = run("score", model, "-", stdin=drawn).stdout
    assert read_table("scored.parquet").table.equals(csv_of(text))


def test_score_and_sample_write_files(model):
    for suffix in FORMATS:
        assert run("sample", model, "-n", "40", "--seed", "2", "--out", f"drawn.{suffix}").stdout == ""
        assert run("score", model, "table.csv", "--out", f"scored.{suffix}").exit_code == 0
    tables = {suffix: read_table(f"scored.{suffix}").rows for suffix in FORMATS}
    for rows in tables.values():
        np.testing.assert_array_equal(rows, tables["csv"])
    refused = run("sample", model, "--out", "drawn.csv")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert refused.stderr == "Error: drawn.csv exists already: choose another name, or replace it with --force\n"
    assert run("score", model, "table.csv", "--out", "scored.csv").exit_code == 1
    assert run("sample", model, "-n", "3", "--out", "drawn.csv", "--force").exit_code == 0
    assert len(read_table("drawn.csv").rows) == 3
    unknown = run("sample", model, "--out", "drawn.xyz")
    assert unknown.exit_code == 1
    assert "drawn.xyz: give a format, one of csv, parquet, arrow, npy" in unknown.stderr


SEVERAL = ("--columns", "length,width", "-k", "1:3", "--covariance", "full,tied,vei", "--starts", "2")


def test_select_shows_every_candidate_and_what_fit_chooses(rows):
    expected = mixtura.select(
        pa.table({"length": rows[:, 0], "width": rows[:, 1]}),
        [1, 2, 3],
        ["full", "tied", "vei"],
        n_init=2,
        random_state=0,
    )
    text = run("select", "table.csv", *SEVERAL).stdout
    assert text.startswith("9 candidates for 100 rows × 2 columns\n\nBIC, smaller is better\n  K ")
    best = expected.best
    assert text.count("*") == 2  # behind the chosen one, and in the legend
    assert f"{best.bic:,.1f}*" in text
    for cell in expected.cells:
        mark = "*" if cell is best else "=" if cell in expected.ties else " " if cell.eligible else "!"
        assert f"{cell.bic:,.1f}{mark}" in text.replace("\n", " ")
    chosen = json_of(run("fit", "table.csv", *SEVERAL, "--json", "-q"))["chosen"]
    assert (chosen["n_components"], chosen["covariance"]) == (best.n_components, best.covariance)
    assert "mixtura fit table.csv --components 1:3 --covariance full,tied,vei" in " ".join(
        text.replace("\\", "").split()
    )


def test_select_marks_ties_and_what_may_not_be_chosen():
    table = pa.table({"x": np.repeat([0.0, 1.0, 2.0, 3.0, 4.0], 20), "y": np.arange(100.0) % 7})
    write_table(table, "coarse.csv")
    text = run("select", "coarse.csv", "-k", "1:6", "--covariance", "full,diag").stdout
    result = mixtura.select(table, range(1, 7), ["full", "diag"], random_state=0)
    assert any(not cell.eligible for cell in result.cells)
    assert "! a component is empty or has collapsed" in text
    one_column = run("select", "table.csv", "--columns", "length", "-k", "2", "--covariance", "VVV,VII").stdout
    assert "= within 2 units of it, so as good" in one_column  # which are the same there


@pytest.mark.parametrize("suffix", ["csv", "parquet", "arrow", "json"])
def test_select_writes_the_whole_table(suffix, rows):
    done = run("select", "table.csv", *SEVERAL, "--out", f"all.{suffix}")
    assert done.stderr.endswith(f"Wrote 9 candidates into all.{suffix}.\n")
    named = pa.table({"length": rows[:, 0], "width": rows[:, 1]})
    expected = mixtura.select(named, [1, 2, 3], ["full", "tied", "vei"], n_init=2, random_state=0).table()
    if suffix == "json":
        document = json.loads(Path("all.json").read_text())
        assert document == json_of(run("select", "table.csv", *SEVERAL, "--json", "-q"))
        assert document["chosen"]["bic"] == min(row["bic"] for row in document["candidates"] if row["eligible"])
        written = {name: [row[name] for row in document["candidates"]] for name in expected}
    else:
        written = read_table(f"all.{suffix}").table.to_pydict()
        written["reason"] = [reason or "" for reason in written["reason"]]  # an empty field of CSV is a null
    assert list(written) == list(expected)
    assert written == expected
    refused = run("select", "table.csv", *SEVERAL, "--out", f"all.{suffix}")
    assert refused.exit_code == 1
    assert "exists already" in refused.stderr
    assert run("select", "table.csv", *SEVERAL, "--output-format", suffix).exit_code == 2


def test_compare_lays_labels_beside_components(model, columns, rows):
    expected = mixtura.cross_table(columns["kind"], mixtura.load(model).mixture.predict(rows))
    done = run("compare", model, "table.csv", "--labels", "kind")
    assert done.stdout == f"{expected}\n"
    got = json_of(run("compare", model, "table.csv", "--labels", "kind", "--json"))
    assert got == json.loads(json.dumps(expected.summary()))
    assert got["adjusted_rand_index"] > 0.9
    missing = run("compare", model, "table.csv", "--labels", "sort")
    assert missing.exit_code == 1
    assert missing.stderr == "Error: table.csv has no column 'sort': it has length, kind, width, count\n"
    assert run("compare", model, "table.csv").exit_code == 2


def test_compare_takes_labels_of_any_type(model, columns):
    days = pa.array([None, *range(99)], pa.int32()).cast(pa.date32())
    write_table(pa.table({**columns, "day": days}), "dated.parquet")
    got = json_of(run("compare", model, "dated.parquet", "--labels", "day", "--json"))
    assert got["rows"][:2] == ["1970-01-01", "1970-01-02"]
    assert got["missing"] == 1


def test_merge_unites_components_and_writes_clusters(rows):
    mixture = mixtura.fit(rows, 4, "spherical", random_state=0).model
    names = ["length", "width"]
    mixtura.save(mixtura.Mixture(mixture.weights, mixture.means, mixture.structure, columns=names), "four.mixtura")
    mixture = mixtura.load("four.mixtura").mixture
    expected = mixtura.merge(mixture, rows)
    assert run("merge", "four.mixtura", "table.csv").stdout == f"{expected}\n"
    got = json_of(run("merge", "four.mixtura", "table.csv", "--json", "--out", "two.csv", "--clusters", "2"))
    assert got == json.loads(json.dumps(expected.summary()))
    written = csv_of(Path("two.csv").read_text())
    assert written.column_names == ["cluster", "probability", "c0", "c1"]
    np.testing.assert_array_equal(written["cluster"], expected.predict(rows, 2))
    np.testing.assert_allclose(np.stack([written["c0"], written["c1"]], 1), expected.responsibilities(rows, 2))
    assert run("merge", "four.mixtura", "table.csv", "--out", "two.csv").exit_code == 1
    weighted = json_of(run("merge", "four.mixtura", "table.csv", "--weights", "count", "--json"))
    assert weighted == json.loads(json.dumps(mixtura.merge(mixture, rows, np.arange(100) % 3).summary()))


@pytest.mark.parametrize("option", [["--clusters", "2"], ["--output-format", "csv"]])
def test_merge_refuses_options_that_only_go_with_a_file(model, option):
    done = run("merge", model, "table.csv", *option)
    assert done.exit_code == 2
    assert f"{option[0]} needs --out." in done.stderr


def test_show_shows_the_model_and_its_fit():
    fitted = run("fit", "table.csv", *QUICK, "--out", "fitted").stdout
    shown = run("show", "fitted/model.mixtura").stdout

    def section(text, title):
        return text.split(f"\n{title}", 1)[1].split("\n\n", 1)[0].splitlines()

    assert section(shown, "Components") == section(fitted, "Components")
    assert set(section(fitted, "Fit")) <= set(section(shown, "Fit"))
    assert "command          mixtura fit table.csv --components 2 --covariance full" in shown
    assert "Correlations" not in shown


def test_show_verbose_adds_correlations_and_every_column():
    rng = np.random.default_rng(1)
    names = [f"column{j}" for j in range(9)]
    shape = np.tril(rng.normal(size=(9, 9))) + 4 * np.eye(9)
    mixture = mixtura.Mixture([0.4, 0.6], rng.normal(size=(2, 9)), [shape @ shape.T, np.eye(9)], columns=names)
    mixtura.save(mixture, "wide.mixtura")
    brief, full = run("show", "wide.mixtura").stdout, run("show", "wide.mixtura", "--verbose").stdout
    assert "column5" in brief
    assert "column6" not in brief
    assert "and 3 more columns" in brief
    correlations = np.corrcoef(shape)  # of a matrix: not of the model
    got = json_of(run("show", "wide.mixtura", "--json", "-v"))
    expected = shape @ shape.T / np.outer(*[np.linalg.norm(shape, axis=1)] * 2)
    np.testing.assert_allclose(got["correlations"], [expected, np.eye(9)], atol=1e-12)
    assert not np.allclose(got["correlations"][0], correlations)
    assert f"{expected[8, 0]:.3f}" in full
    assert "column8" in full
    assert max(map(len, full.splitlines())) <= 80
    assert "correlations" not in json_of(run("show", "wide.mixtura", "--json"))


@pytest.mark.parametrize(
    ("family", "says"), [("tied", "all components"), ("diag", "independent"), ("full", "component 1")]
)
def test_correlations_of_each_family(family, says):
    run("fit", "table.csv", *QUICK, "--covariance", family, "--out", "fitted")
    assert says in run("show", "fitted/model.mixtura", "-v").stdout


def test_one_column_has_no_correlations():
    run("fit", "table.csv", *QUICK, "--columns", "width", "--out", "fitted")
    assert "Correlations" not in run("show", "fitted/model.mixtura", "-v").stdout


def test_show_json_holds_the_metadata(model):
    got = json_of(run("show", model, "--json"))
    assert got["metadata"] == {}
    assert got["chosen"]["covariance"] == "full"
    assert got["rows"] is None
    mixture = mixtura.load(model).mixture
    assert [c["weight"] for c in got["components"]] == mixture.weights.tolist()
    assert [[*c["mean"].values()] for c in got["components"]] == mixture.means.tolist()


def test_show_believes_no_metadata(model):
    odd = {
        "command": 7, "rows": "many", "weight": True, "criterion": [], "notes": ["\x1b[2J", 5],
        "chosen": {"loglik": 10**400, "bic": "low", "passes": 1.5, "starts": True, "sentence": "\x1b[31mfine"},
    }  # fmt: skip
    mixtura.save(mixtura.load(model).mixture, "odd.mixtura", metadata=odd)
    result = run("show", "odd.mixtura")
    assert result.exit_code == 0
    assert r"\x1b[31mfine" in result.stdout
    assert r"- \x1b[2J" in result.stdout
    assert not {"log-likelihood", "passes", "starts", "command"} & set(result.stdout.split())
    assert run("show", "odd.mixtura", "--json").exit_code == 0


# Formats


def test_every_format_gives_the_same_numbers(rows):
    table = pa.table({"x1": rows[:, 0], "x2": rows[:, 1]})
    found = {}
    for suffix in FORMATS:
        write_table(table, f"table.{suffix}")
        options = ["-k", "2", "--covariance", "full", "--out", suffix, "--no-report", "--json", "-q"]
        result = run("fit", f"table.{suffix}", *options)
        numbers = json_of(result)
        assert sorted(p.name for p in Path(suffix).iterdir()) == [f"labels.{suffix}", "model.mixtura", "summary.json"]
        labels = read_table(f"{suffix}/labels.{suffix}").rows
        found[suffix] = ({k: numbers[k] for k in ("chosen", "components", "rows")}, labels.tolist())
    assert all(value == found["csv"] for value in found.values())


def test_standard_input_of_every_format(rows):
    table = pa.table({"x1": rows[:, 0], "x2": rows[:, 1]})
    likelihoods = set()
    for suffix in FORMATS:
        write_table(table, f"in.{suffix}")
        result = run(
            "fit", "-", *QUICK[2:], "--json", "--out", f"from-{suffix}", stdin=Path(f"in.{suffix}").read_bytes()
        )
        likelihoods.add(json_of(result)["chosen"]["loglik"])
        assert Path(f"from-{suffix}/labels.{suffix}").exists()
    assert len(likelihoods) == 1


# What can go wrong: one sentence, no traceback


def broken_model():
    Path("broken.mixtura").write_bytes(b"PK\x03\x04 and then nothing")
    return "broken.mixtura"


def folder_of():
    Path("empty").mkdir(exist_ok=True)
    return "empty"


def file_of(text):
    Path("odd.csv").write_text(text)
    return "odd.csv"


TEXT = "text ('short' in row 1, rows counted from 1)"
COUNTED = "rows counted from 1"
REMEDY = f"({COUNTED}): drop those rows or fill them in"
ERRORS = {
    "missing table": (lambda: ["fit", "none.csv"], "there is no file none.csv"),
    "text column": (
        lambda: ["fit", "table.csv", "--columns", "kind"],
        f"table.csv: column 'kind' is not numeric but {TEXT}; leave it out or encode it as numbers",
    ),
    "only text": (
        lambda: ["fit", file_of("a\nx\ny\n")],
        "odd.csv has no column of numbers: 'a' is text ('x' in row 1, rows counted from 1)",
    ),
    "NaN": (
        lambda: ["fit", file_of("a,b\n1,2\n3,\n5,6\n")],
        f"odd.csv contains NaN (a missing value) in row 2, column 'b' {REMEDY}",
    ),
    "infinity": (
        lambda: ["fit", file_of("a,b\n1,2\n3,inf\n5,6\n")],
        f"odd.csv contains infinity in row 2, column 'b' {REMEDY}",
    ),
    "no such column": (
        lambda: ["fit", "table.csv", "--columns", "lenght"],
        "table.csv has no column 'lenght': did you mean 'length'?",
    ),
    "no such weights": (
        lambda: ["fit", "table.csv", "--weights", "wight"],
        "table.csv has no column 'wight': did you mean 'width'?",
    ),
    "negative weight": (
        lambda: ["fit", file_of("a,w\n1,2\n3,-1\n"), "--weights", "w"],
        "odd.csv: weights column 'w' must not be negative, but it is -1 in row 2 (rows counted from 1)",
    ),
    "few rows": (
        lambda: ["fit", "table.csv", "-k", "101"],
        "100 rows cannot hold 101 components: give more rows or fewer components",
    ),
    "empty": (lambda: ["fit", file_of("")], "odd.csv is empty"),
    "no rows": (lambda: ["fit", file_of("a,b\n")], "odd.csv has a header but no rows"),
    "empty folder": (lambda: ["fit", folder_of()], "the folder empty holds no files"),
    "another format": (
        lambda: ["fit", "table.csv", "--input-format", "parquet"],
        "table.csv does not begin like a parquet file: it is damaged or another thing",
    ),
    "file as folder": (
        lambda: ["fit", "table.csv", "--out", "table.csv"],
        "table.csv is a file: --out needs a folder",
    ),
    "folder within a file": (
        lambda: ["fit", "table.csv", "--out", "table.csv/fitted"],
        "cannot use table.csv/fitted: Not a directory",
    ),
    "folder as file": (
        lambda: [Path("d/labels.csv").mkdir(parents=True), "fit", "table.csv", "--out", "d", "--force"][1:],
        "d holds a folder labels.csv, where a file would go: choose another folder",
    ),
    "missing model": (lambda: ["show", "none.mixtura"], "there is no file none.mixtura"),
    "table as model": (
        lambda: ["show", "table.csv"],
        "table.csv is cut short or no Mixtura model file: it is not a zip",
    ),
    "broken model": (
        lambda: ["score", broken_model(), "table.csv"],
        "broken.mixtura is cut short or no Mixtura model file: it is not a zip",
    ),
    "model to sample": (
        lambda: ["sample", broken_model()],
        "broken.mixtura is cut short or no Mixtura model file: it is not a zip",
    ),
    "output in no folder": (
        lambda: ["sample", "MODEL", "--out", "none/drawn.csv"],
        "cannot write none/drawn.csv: No such file or directory",
    ),
    "text to npy": (
        lambda: ["score", "MODEL", "none.npy"],
        "there is no file none.npy",
    ),
}


@pytest.mark.parametrize("case", ERRORS)
def test_errors_are_one_sentence(case, model):
    args, sentence = ERRORS[case]
    result = run(*(model if arg == "MODEL" else arg for arg in args()))
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.splitlines()[-1] == f"Error: {sentence}"
    assert all(line.startswith("Left out column") for line in result.stderr.splitlines()[:-1])
    assert sorted(p.name for p in Path().iterdir()) in (
        ["table.csv"], ["odd.csv", "table.csv"], ["broken.mixtura", "table.csv"], ["d", "table.csv"],
        ["empty", "table.csv"],
    )  # fmt: skip


MISUSES = {
    "no command": ([], "Commands:"),
    "unknown command": (["fti"], "fti"),
    "no table": (["fit"], "Missing argument 'TABLE'"),
    "unknown option": (["fit", "table.csv", "--kind", "full"], "--kind"),
    "no number": (["fit", "table.csv", "-k", "three"], "'three' is no number of components: write 3, 1:9 or 2,4,6"),
    "no components": (["fit", "table.csv", "-k", "0"], "'0' must count up, from 1 or more"),
    "downwards": (["fit", "table.csv", "-k", "3:1"], "'3:1' must count up, from 1 or more"),
    "endless": (["fit", "table.csv", "-k", "1:999999999999"], "more than 1000 numbers of components: name fewer"),
    "family": (
        ["fit", "table.csv", "--covariance", "full,round"],
        "unknown covariance family 'round': choose one of full",
    ),
    "criterion": (["fit", "table.csv", "--criterion", "dic"], "'dic' is not one of 'bic', 'icl', 'aic'"),
    "starts": (["fit", "table.csv", "--starts", "0"], "0 is not in the range x>=1"),
    "tol": (["fit", "table.csv", "--tol", "-1"], "-1.0 is not in the range x>=0"),
    "tol nan": (["fit", "table.csv", "--tol", "nan"], "nan is not a finite number"),
    "max_iter": (["fit", "table.csv", "--max-iter", "0"], "0 is not in the range x>=1"),
    "reg_covar": (["fit", "table.csv", "--reg-covar", "inf"], "inf is not a finite number"),
    "seed": (["fit", "table.csv", "--seed", "-1"], "-1 is not in the range x>=0"),
    "threads": (["fit", "table.csv", "--threads", "0"], "0 is not in the range x>=1"),
    "format": (["fit", "table.csv", "--input-format", "xlsx"], "'xlsx' is not one of"),
    "total to a file": (["score", "m", "table.csv", "--total", "--out", "x.csv"], "--out does not go with --total."),
    "total in a format": (
        ["score", "m", "table.csv", "--total", "--output-format", "npy"],
        "--output-format does not go with --total.",
    ),
    "weights for labels": (["score", "m", "table.csv", "--weights", "count"], "--weights needs --total."),
    "json for labels": (["score", "m", "table.csv", "--json"], "--json needs --total."),
    "rows": (["sample", "m", "-n", "-1"], "-1 is not in the range x>=0"),
}


@pytest.mark.parametrize("case", MISUSES)
def test_misuse(case):
    args, sentence = MISUSES[case]
    result = run(*args)
    assert result.exit_code == 2
    assert sentence in result.stderr


def test_a_traceback_for_those_who_ask(monkeypatch):
    monkeypatch.setenv("MIXTURA_DEBUG", "1")
    with pytest.raises(ValueError, match="there is no file"):
        run("fit", "none.csv")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk(model):
    with open("/dev/full", "wb") as full:  # noqa: PTH123
        for args in (["sample", model], ["show", model], ["score", model, "table.csv"]):
            done = subprocess.run(
                arguments(*args), stdout=full, stderr=subprocess.PIPE, env=environment(), check=False, timeout=50
            )
            assert done.returncode == 1
            assert done.stderr.decode() == "Error: cannot write: No space left on device\n"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="nothing is forbidden to the superuser")
def test_a_folder_without_permission():
    Path("closed").mkdir(mode=0o500)
    result = run("fit", "table.csv", *QUICK, "--out", "closed")
    assert result.exit_code == 1
    assert result.stderr == "Error: cannot write into the folder closed: permission denied\n"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no broken pipes")
@pytest.mark.parametrize("buffering", [{}, {"PYTHONUNBUFFERED": "1"}], ids=["buffered", "unbuffered"])
def test_a_broken_pipe_ends_silently(model, buffering):
    for args in (["sample", model, "-n", "200000"], ["score", model, "-"]):
        stdin = subprocess.PIPE if "-" in args else subprocess.DEVNULL
        with subprocess.Popen(
            arguments(*args), stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(**buffering)
        ) as started:
            if started.stdin is not None:
                started.stdin.write(b"length,width\n" + b"1.25,2.5\n" * 50_000)
                started.stdin.close()
            assert started.stdout.readline().startswith(b'"l')
            started.stdout.close()
            assert started.stderr.read() == b""
            assert started.wait(timeout=50) == 141


# On a terminal, in a pipe


def test_nothing_but_text_goes_into_a_pipe():
    done = process("fit", "table.csv", *QUICK)
    assert done.returncode == 0
    assert b"\x1b" not in done.stdout + done.stderr
    assert done.stderr == b""


@needs_terminals
def test_progress_is_drawn_on_a_terminal_only():
    code, text = on_a_terminal("fit", "table.csv", *QUICK, "-k", "1:4", "--starts", "8", "--out", "out", at_once=True)
    assert code == 0
    assert "Racing starts" in text
    assert re.search(r"\d of \d+ arrived, pass \d+, 0:0\d", text)
    assert "Drawing" in text
    assert "\x1b[?25h" in text  # the cursor is back
    assert on_a_terminal("fit", "table.csv", *QUICK, "--quiet", at_once=True) == (0, "")
    assert on_a_terminal("fit", "table.csv", *QUICK, at_once=True, TERM="dumb") == (0, "")


@needs_terminals
def test_colours_are_for_terminals_that_want_them(model):
    code, text = on_a_terminal("show", model, stream="stdout")
    assert code == 0
    assert "\x1b[1mComponents" in text
    assert "\x1b" not in on_a_terminal("show", model, stream="stdout", NO_COLOR="1")[1]
    progress = on_a_terminal("fit", "table.csv", *QUICK, "--starts", "8", at_once=True, NO_COLOR="1")[1]
    assert "Racing starts" in progress
    assert not re.search(r"\x1b\[3\dm", progress)


@needs_terminals
def test_an_interrupt_keeps_the_best_model_so_far():
    code, text = on_a_terminal(
        "fit", EXAMPLES / "banknote.csv", "--starts", "20", "--out", "fitted", interrupt_at="Racing starts",
        at_once=True,
    )  # fmt: skip
    assert code == 130
    assert "Ending with the best model so far" in text
    assert text.endswith("Interrupted: this is the best model up to then.\r\n")
    assert "Traceback" not in text
    told = json.loads(Path("fitted/summary.json").read_text())
    assert mixtura.load("fitted/model.mixtura").metadata["chosen"].items() <= told["chosen"].items()


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_no_line_is_wider_than_the_terminal(width, rows):
    rng = np.random.default_rng(2)
    more = {
        name: rows[:, 0] * 10.0**power + rng.normal(size=100) for name, power in zip(HOSTILE, range(5), strict=True)
    }
    write_table(pa.table({"length": rows[:, 0], **more}), "odd.parquet")
    result = run("fit", "odd.parquet", "-k", "1:3", "--covariance", "diag,tied", COLUMNS=str(width))
    assert result.exit_code == 0
    assert max(map(cell_len, result.stdout.splitlines())) <= width
    assert run("fit", "odd.parquet", "-k", "1", COLUMNS="10").exit_code == 0


def test_columns_of_a_table_stand_below_each_other():
    text = run("fit", EXAMPLES / "faithful.csv", "-k", "2:3", "--covariance", "full").stdout
    components = text.split("\n\n")[1].splitlines()[2:]
    assert len({line.index("±") for line in components}) == 1
    assert len({line.rindex("±") for line in components}) == 1
    assert len({len(line) for line in components}) == 1


def test_names_and_cells_from_elsewhere_are_harmless(rows):
    names = list(HOSTILE)
    table = {name: rows[:, j % 2] + j for j, name in enumerate(names)} | {"\x1b[2Jtext": ["\x1b]0;title\x07"] * 100}
    write_table(pa.table(table), "hostile.parquet")
    outputs = [
        run("fit", "hostile.parquet", "-k", "1", "--covariance", "diag", "--out", "fitted"),
        run("fit", "hostile.parquet", "-k", "1", "--covariance", "diag", "--json"),
        run("show", "fitted/model.mixtura", "-v"),
        run("fit", "hostile.parquet", "--columns", "\x1b[2Jtext"),
        run("fit", "hostile.parquet", "--columns", "\x1b[2Jnone"),
        run("score", "fitted/model.mixtura", "table.csv"),
        run("fit", "\x1b[2Jnone.csv"),
    ]
    for result in outputs:
        seen = result.stdout + result.stderr
        assert all(c.isprintable() or c == "\n" for c in seen)
    assert "[red]a[/red]" in outputs[0].stdout
    assert r"\x1b[31mevil\x1b[0m" in outputs[2].stdout
    assert mixtura.load("fitted/model.mixtura").mixture.columns == HOSTILE


#: A name of a column, and of a label, for each thing that could go wrong.
FORMULA = "=HYPERLINK(A1)"
STEERING = (
    "\x1b[31mred",
    "\x9b2J",
    "a\rb",
    "a\bb",
    "\x07",
    "a\tb",
    "\u202ex",
    "\u2066x",
    "\ufeffx",
    "\u2028",
    "\x1b]52;c;x\x07",
)


@pytest.mark.parametrize("suffix", ["csv", "parquet", "arrow"])
def test_nothing_from_a_table_or_a_model_steers_a_terminal(suffix):
    names = [*(name for name in STEERING if suffix != "csv" or "\r" not in name), FORMULA]
    drawn = np.random.default_rng(4).normal(size=(100, len(names)))
    cells = [STEERING[i % len(STEERING)].replace("\r", "") for i in range(100)]
    path, model = f"hostile.{suffix}", "fitted/model.mixtura"
    write_table(pa.table([*drawn.T, cells], names=[*names, "cells\x1b"]), path)
    fit = ("fit", path, "-k", "1:2", "--covariance", "diag", "--out", "fitted", "--force")
    for arguments_ in (
        fit,
        ("show", model, "-v"),
        ("score", model, path, "--total"),
        ("compare", model, path, "--labels", "cells\x1b"),
        ("merge", model, path),
        ("score", model, "table.csv"),
        (*fit, "--columns", "cells\x1b"),
        (*fit, "--weights", "cells\x1b"),
        ("compare", model, path, "--labels", "\x9b"),
    ):
        result = run(*arguments_)
        seen = result.stdout + result.stderr
        assert seen
        assert all(c.isprintable() or c == "\n" for c in seen), arguments_
    code, seen = on_a_terminal("sample", model, "-n", "2", stream="stdout")
    assert code == 0
    assert all(c.isprintable() or c in "\r\n" for c in seen)
    assert r"\x1b[31mred" in seen


def test_names_that_a_spreadsheet_takes_for_formulas(model, rows):
    drawn = {FORMULA: rows[:, 0], "b": rows[:, 1]}
    write_table(pa.table(drawn), "formula.parquet")
    run("fit", "formula.parquet", "-k", "1", "--out", "fitted")
    result = run("sample", "fitted/model.mixtura", "-n", "2")
    assert result.stdout.startswith(f'"{FORMULA}","b"\n')  # other commands find it by this name
    assert result.stderr == (
        f"A spreadsheet may take the name of the column {FORMULA!r} for a formula: do not let it run that.\n"
    )
    assert run("sample", "fitted/model.mixtura", "--out", "drawn.parquet").stderr == ""
    assert "for a formula" in run("sample", "fitted/model.mixtura", "--out", "drawn.csv").stderr
    assert run("sample", model, "-n", "2").stderr == ""


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_an_output_without_our_characters_gets_plainer_ones(encoding, model):
    done = process("show", model, env=environment(PYTHONIOENCODING=encoding))
    assert (done.returncode, done.stderr) == (0, b"")
    text = done.stdout.decode(encoding)
    assert "############" in text
    assert " +- " in text


# The whole of it


def test_fit_score_sample_show_in_processes(tmp_path):
    def step(*args, **options):
        done = process(*args, cwd=tmp_path, **options)
        assert done.returncode == 0, done.stderr
        return done.stdout

    step("fit", "table.csv", *QUICK, "--out", "fitted", "--quiet")
    drawn = step("sample", "fitted/model.mixtura", "-n", "2000", "--seed", "1")
    scored = csv_of(step("score", "fitted/model.mixtura", "-", input=drawn))
    assert scored.num_rows == 2000
    again = json.loads(step("fit", "-", "-k", "2", "--covariance", "full", "--json", input=drawn))
    shown = json.loads(step("show", "fitted/model.mixtura", "--json"))
    for one, other in zip(again["components"], shown["components"], strict=True):
        assert one["weight"] == pytest.approx(other["weight"], abs=0.04)
        assert one["mean"] == pytest.approx(other["mean"], abs=0.25)


def shape_of(output):
    """An output without its numbers, bars and spaces, which another machine's rounding may change."""
    without_bars = re.sub("[█▉▊▋▌▍▎▏]", "", output)
    return [" ".join(re.sub(r"[-+]?\d[\d,.]*(e[-+]\d+)?", "#", line).split()) for line in without_bars.splitlines()]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="the page speaks to a Unix shell")
def test_the_documentation_shows_what_the_commands_print():
    Path("bin").mkdir()
    script = Path("bin/mixtura")
    script.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m mixtura "$@"\n')
    script.chmod(0o755)
    shutil.copytree(EXAMPLES, "examples")
    env = environment(PATH=f"{script.parent.resolve()}{os.pathsep}{os.environ['PATH']}")
    shown = re.findall(r"^```console\n\$ (.*)\n((?:.*\n)*?)```$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert len(shown) > 5
    for command, output in shown:
        done = subprocess.run(
            ["/bin/sh", "-c", f"{{ {command}; }} 2>&1"], capture_output=True, env=env, check=False, timeout=50
        )
        assert shape_of(done.stdout.decode()) == shape_of(output), command


def test_every_option_is_documented():
    page = PAGE.read_text(encoding="utf-8")
    sections = {name: page.split(f"\n## mixtura {name}\n")[1].split("\n## ")[0] for name in COMMANDS}
    for name, section in sections.items():
        written = set(re.findall(r"`(?:-\w`, `)?(--[a-z-]+)", section.split("```")[0] + section.split("```")[-1]))
        options = {max(o.opts, key=len) for o in main.commands[name].params if isinstance(o, click.Option)}
        assert options <= written, name
        assert written - options <= {"--out", "--total", "--verbose", "--no-report"}, name


def test_the_same_command_writes_the_same_bytes():
    for name in ("one", "two"):
        run("fit", "table.csv", *QUICK, "-k", "1:3", "--out", name)
        time.sleep(0.01)
    for file in WRITTEN:  # the report tells where the model is
        assert Path("one", file).read_bytes() == Path("two", file).read_bytes().replace(b"two/model", b"one/model")


def test_noise(tmp_path):
    rng = np.random.default_rng(0)
    rows = np.vstack([rng.normal([0, 0], 1, (100, 2)), rng.normal([9, 9], 1, (100, 2)), rng.uniform(-30, 30, (60, 2))])
    path = tmp_path / "noisy.csv"
    np.savetxt(path, rows, delimiter=",", header="a,b", comments="")
    shown = run("fit", path, "-k", "2", "--covariance", "full", "--noise", "--out", tmp_path / "out")
    assert shown.exit_code == 0
    assert "2 components and noise, full covariance" in shown.stdout
    assert re.search(r"\n +noise +2\d\.\d %", shown.stdout)
    model = mixtura.load(tmp_path / "out" / "model.mixtura").mixture
    labels = pyarrow.csv.read_csv(tmp_path / "out" / "labels.csv").to_pydict()
    assert labels["label"] == model.predict(rows).tolist()
    assert labels["label"].count(-1) > 40
    assert labels["noise"] == pytest.approx(model.noise_probability(rows), abs=1e-12)
    assert labels["probability"][-1] == max(labels["noise"][-1], labels["p0"][-1], labels["p1"][-1])
    scored = run("score", tmp_path / "out" / "model.mixtura", path, "--total", "--json")
    assert json.loads(scored.stdout)["n_parameters"] == 11 + 2
    assert json.loads(scored.stdout)["bic"] == pytest.approx(
        json.loads((tmp_path / "out" / "summary.json").read_text())["chosen"]["bic"]
    )
    assert "noise" in run("show", tmp_path / "out" / "model.mixtura").stdout
    drawn = run("sample", tmp_path / "out" / "model.mixtura", "-n", "200", "--seed", "0", "--labels").stdout
    assert "-1" in {line.split(",")[0] for line in drawn.splitlines()}
    given = run("fit", path, "-k", "2", "--covariance", "full", "--noise-density", "0.0003", "--json")
    assert json.loads(given.stdout)["noise"]["log_density"] == pytest.approx(np.log(0.0003))


# export


def test_export_writes_a_graph_that_answers_as_the_model_does(model, rows):
    runtime = pytest.importorskip("onnxruntime")
    done = run("export", model, "--to", "onnx", "--out", "model.onnx")
    assert (done.exit_code, done.stdout) == (0, "")
    assert "outputs labels, probabilities, log_density" in done.stderr
    session = runtime.InferenceSession("model.onnx", providers=["CPUExecutionProvider"])
    labels, probabilities, log_density = session.run(None, {"X": rows})
    mixture = mixtura.load(model).mixture
    assert labels.tolist() == mixture.predict(rows).tolist()
    np.testing.assert_allclose(probabilities, mixture.responsibilities(rows), atol=1e-12)
    np.testing.assert_allclose(log_density, mixture.logpdf(rows), rtol=1e-11, atol=1e-12)
    again = run("export", model, "--to", "onnx", "--out", "model.onnx")
    assert again.exit_code == 1
    assert "exists already" in again.stderr
    assert run("export", model, "--to", "onnx", "--out", "model.onnx", "--force").exit_code == 0

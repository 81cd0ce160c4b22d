"""The command line put together: commands are verbs, or plural nouns that list."""

from __future__ import annotations

import errno
import gc
import os
import sys
from typing import Annotated, NoReturn

import typer

from nferbench import __version__
from nferbench.cli import lists
from nferbench.cli.bundle import bundle
from nferbench.cli.check import check
from nferbench.cli.data import data
from nferbench.cli.diagnose import diagnose
from nferbench.cli.doctor import doctor
from nferbench.cli.export import export
from nferbench.cli.merge import merge
from nferbench.cli.output import complain
from nferbench.cli.plan import plan
from nferbench.cli.pretrain import pretrain
from nferbench.cli.prune import prune
from nferbench.cli.report import report
from nferbench.cli.run import run
from nferbench.cli.score import score
from nferbench.cli.status import status
from nferbench.cli.translate import translate
from nferbench.cli.verify import verify
from nferbench.cli.weights import weights
from nferbench.contract.errors import NferbenchError, StoppedError
from nferbench.engine.stopping import end_on_request, run_stopped

INTERRUPTED = 130  # exit code after Ctrl-C

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(data, name="data")
app.add_typer(weights, name="weights")
listing = (lists.methods, lists.datasets, lists.fer_models, lists.detectors, lists.metrics, lists.plugins)
results = (report, export, translate)
looking_after = (status, merge, prune, bundle, verify, doctor)
for command in (run, score, plan, *results, pretrain, diagnose, check, *listing, *looking_after):
    app.command(command.__name__.replace("_", "-"))(command)


def _tell_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"nferbench {__version__}")
        raise typer.Exit


@app.callback()
def nferbench(
    version: Annotated[
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """One protocol for methods that translate visible faces to near-infrared."""


def main() -> NoReturn:
    """Run the command line; errors made on purpose become one line each."""
    asked = end_on_request()
    try:
        app(prog_name="nferbench")
    except NferbenchError as error:
        for line in str(error).splitlines():
            complain(line)
        sys.exit(error.exit_code)
    except SystemExit as end:
        if end.code == INTERRUPTED and (name := asked()):
            complain(str(run_stopped(name)))
            sys.exit(StoppedError.exit_code)
        if end.code == INTERRUPTED:
            complain("interrupted; what is done stays, start the same command again to go on")
        raise
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EROFS, errno.EPIPE):
            raise
        complain(f"{error.filename or 'output'}: {os.strerror(error.errno)}; what is done stays")
        sys.exit(1)
    finally:
        gc.freeze()  # what there is goes with the process; a last look for cycles in it takes a third of a second
    sys.exit(0)

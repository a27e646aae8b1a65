"""`conform replay`: run the test of a failure bundle again, on the same target or on another."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from harness.cli import flags, options, summary
from harness.cli.commands.run import execute
from harness.cli.console import out
from harness.cli.expand import expanded
from harness.errors import UsageError
from harness.evidence import bundle
from harness.identity import TestId
from harness.run.request import RunRequest
from harness.session.settings import storages, time_mode
from harness.targets import TargetOptions, resolve


@expanded
def command(
    directory: Annotated[Path, typer.Argument(metavar="BUNDLE", help="directory of a failure bundle")],
    reach: options.Reach,
    target: Annotated[str | None, typer.Option(metavar="TARGET", help="another target than the one it failed on")] = None,
    time: flags.TimeOption = None,
    corpus: flags.CorpusOption = None,
    evidence: flags.EvidenceOption = Path("artifacts/replay"),
) -> None:
    """Say whether the failure comes back; the status is that of the new run."""
    about = bundle.load(directory)
    known = TargetOptions(**about["target"])
    # The token is not in the bundle, which travels; everything else of the target is.
    chosen = dataclasses.replace(known, token=reach.token)
    if target is not None and target != known.spec:
        chosen = reach.options(target)
    test = TestId.parse(about["test"])
    resolved = resolve(chosen)
    encoding, _, storage = test.variant.partition("-")
    # The time in which it failed, if the other target can run in it: that is most likely to bring it back.
    mode = time or (about["time"] if about["time"] in list(resolved.time_modes) else None)
    request = RunRequest(
        target=chosen,
        time=time_mode(resolved, mode),
        encodings=(encoding,),
        storages=storages(resolved, (storage,) if storage in resolved.storages else ()),
        only=(test.test,),
        seed=about["seed"],
        corpus=corpus or Path(about["corpus"]),
        evidence=evidence.resolve(),
    )
    if not request.corpus.is_dir():
        raise UsageError(f"the corpus of the bundle, {request.corpus}, is not here; name it with --corpus")
    report = execute(request)
    summary.show(report, request)
    if report.results:
        now = report.results[0]
        # By message as well: a test that now fails otherwise has not reproduced anything.
        same = (str(now.verdict), now.message) == (about["verdict"], about["message"])
        before = f"{about['verdict']}: {about['message']}"
        out.print(f"then: {before}\nnow:  {now.verdict}: {now.message}".rstrip(": "), markup=False, soft_wrap=True)
        came_back = "reproduced" if same else "fails differently" if not now.verdict.good else "did not come back"
        out.print(came_back, style="bold")
    raise typer.Exit(report.status)

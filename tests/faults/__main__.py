"""`python -m tests.faults`: makes every fault happen, and prints a line for each; see `--help`."""

import argparse
import secrets
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from tests.faults.registry import FAULTS, Fault
from tests.faults.report import DOCUMENT, Line, document, run_fault, table

SIDE_BY_SIDE = 3


def main() -> None:
    """Run the faults that are asked for; exit 1 when an event is lost, or something else is wrong."""
    arguments = _arguments()
    console = Console(width=150)
    chosen = [fault for fault in FAULTS if not arguments.only or fault.id in arguments.only.split(",")]
    print(f"seed {arguments.seed}", flush=True)  # noqa: T201
    begun = time.monotonic()
    lines = _run(chosen, arguments.seed, not arguments.bounded, console)
    console.print(table(lines, arguments.seed))
    for line in lines:
        if line.skipped:
            console.print(f"{line.fault.id} was skipped: {line.skipped}", markup=False)
    failures = [failure for line in lines for failure in line.failures()]
    for failure in failures:
        console.print(failure, markup=False, soft_wrap=True)
    console.print(
        f"{len(lines)} faults in {time.monotonic() - begun:.0f} s; repeat it by: make faults SEED={arguments.seed}"
    )
    if not arguments.only:
        DOCUMENT.write_text(document(lines, arguments.seed, whole=not arguments.bounded), encoding="utf-8")
    sys.exit(bool(failures))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make faults", description="Makes every fault happen, and looks for every acknowledged event afterwards."
    )
    parser.add_argument("--seed", default="", help="repeats a run; drawn and printed by default")
    parser.add_argument(
        "--only", default="", metavar="ID,ID", help="only these faults; docs/reliability.md stays as it is"
    )
    parser.add_argument("--bounded", action="store_true", help="few cases of each fault, as make test has them")
    arguments = parser.parse_args()
    arguments.seed = arguments.seed or str(secrets.randbelow(10**6))
    return arguments


def _run(faults: list[Fault], seed: str, whole: bool, console: Console) -> list[Line]:
    """Run faults, some side by side: many of them wait more than they work. Returns their lines in order."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress, ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        all_of_them = progress.add_task("faults", total=len(faults))

        def run(fault: Fault) -> Line:
            task = progress.add_task(f"{fault.id} {fault.name} ({fault.subject})", total=None)
            line = run_fault(fault, seed, whole=whole, step=partial(_advance, progress, task))
            progress.remove_task(task)
            progress.advance(all_of_them)
            cells = " | ".join(line.cells())
            console.print(f"{cells} | {line.seconds:.0f} s", markup=False, highlight=False, soft_wrap=True)
            return line

        return list(pool.map(run, faults))


def _advance(progress: Progress, task: TaskID, done: int, of: int) -> None:
    progress.update(task, completed=done, total=of)


if __name__ == "__main__":
    main()

"""Asks a real AWS account what docs/parity.md calls unverified, and writes the answers to a file.

    python bench/probe_aws.py --region us-west-2

It needs credentials that may make buckets, a role, a function, delivery streams, a Glue database, a REST API and Athena
workgroups. It tells what it makes and what that costs, and asks before it begins. Every name starts with
`auditlake-probe-`; all of it is removed at the end, also after Ctrl-C, and what could not be removed is listed. After a
crash, `--remove FILE` removes what the file of answers names. It takes about 20 minutes.
"""

import argparse
import json
import secrets
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from probe_questions import COMPLIANCE, EXPERIMENTS, PARTITIONS, SCANNED_BYTES, Answer, Experiment, Reader, Shared
from probe_stack import (
    MIB,
    Account,
    Made,
    await_streams,
    make_bucket,
    make_database,
    make_function,
    make_role,
    remove_all,
)

POLL_S = 15
"""Seconds between two looks at what has arrived."""
COMPLIANCE_NOTE = (
    "--with-compliance makes one more bucket, whose one small object nobody, not even the account's root, can delete "
    "for one day: bucket and object stay, and cost their storage (less than 0.0001 USD), until you remove them after "
    "that with --remove and the file of answers."
)


@dataclass(frozen=True)
class Cost:
    """A part of the bill: what, how much of it, and the list price of one in us-east-1, in USD."""

    what: str
    quantity: float
    price: float


@dataclass
class Record:
    """The file of answers: written anew after each step."""

    path: Path
    content: dict[str, Any] = field(default_factory=dict)

    def write(self) -> None:
        """Write what is known by now; a text of it that was cut off by a crash never stands in its place."""
        half = self.path.with_suffix(".part")
        half.write_text(json.dumps(self.content, indent=1, ensure_ascii=False, default=str) + "\n", encoding="utf-8")
        half.replace(self.path)


def costs(throttle_calls: int) -> list[Cost]:
    """Return the parts of the bill, each rounded up; `throttle_calls` puts of up to 4 MiB are the largest."""
    ingested_gb = (throttle_calls * 7 / 4 * MIB + 2 * PARTITIONS * 5 * 1024) / 1e9
    return [
        Cost("Firehose, GB ingested (records rounded up to 5 KB)", ingested_gb, 0.029),
        Cost("Firehose, GB converted and partitioned", 0.01, 0.038),
        Cost("Firehose, thousand partitioned objects", PARTITIONS * 1.5 / 1000, 0.005),
        Cost("S3, thousand PUTs and lists", PARTITIONS * 4 / 1000, 0.005),
        Cost("S3, thousand GETs of what arrived, looked at for 15 minutes", PARTITIONS * 60 / 1000, 0.0004),
        Cost("S3, GB-months of all objects, for one hour", 0.2 / 720, 0.023),
        Cost("S3, thousand PUTs into Deep Archive, one object deleted early", 0.001, 0.05),
        Cost("Lambda, GB-seconds and requests", 60, 0.0000166667),
        Cost("Athena, TB scanned (10 MB a query at least)", (SCANNED_BYTES + 10e6) / 1e12, 5.0),
        Cost("API Gateway, million requests", 60 * 5 / 1e6, 3.5),
    ]


def tell_cost(throttle_calls: int, with_compliance: bool) -> None:
    """Print what is made and what it costs."""
    print("This makes, in your account, and removes again at the end:")
    print("  2 buckets (one with Object Lock, GOVERNANCE, 1 day), 1 role, 1 function, 1 Glue database with 3 tables,")
    print("  up to 14 delivery streams, 1 REST API, 1 Athena workgroup. Idle, none of them costs anything.\n")
    parts = costs(throttle_calls)
    for part in parts:
        print(f"  {part.quantity * part.price:8.5f} USD  {part.quantity:.6f} {part.what} at {part.price} USD")
    total = sum(part.quantity * part.price for part in parts)
    print(f"  {total:8.5f} USD  in all, at the list prices of us-east-1 as known in 2026; check yours.\n")
    if with_compliance:
        print(COMPLIANCE_NOTE + "\n")


def probe(account: Account, record: Record, arguments: argparse.Namespace) -> None:
    """Make what is shared, start all experiments, and read until each is answered or the time is up."""
    experiments = [*EXPERIMENTS, COMPLIANCE] if arguments.with_compliance else EXPERIMENTS
    shared = _make_shared(account, arguments)
    # What AWS takes a while for is made first, for all, and then waited for once.
    prepared = {one.name: _tried(record, one, partial(one.prepare, account, shared)) for one in experiments}
    await_streams(account)
    readers: dict[str, tuple[Experiment, Reader]] = {}
    for one in experiments:
        if one.name not in record.content["answers"]:
            reader = _tried(record, one, partial(one.start, account, shared, prepared[one.name]))
            if reader is not None:
                readers[one.name] = (one, reader)
    _read_all(record, readers, arguments.wait_minutes * 60)


def _make_shared(account: Account, arguments: argparse.Namespace) -> Shared:
    print("Making what the experiments share.")
    role_arn = make_role(account)
    return Shared(
        role_arn=role_arn,
        function_arn=make_function(account, role_arn),
        database=make_database(account),
        bucket=make_bucket(account, "data"),
        locked_bucket=make_bucket(account, "locked", "GOVERNANCE"),
        compliance_bucket=make_bucket(account, "compliance", "COMPLIANCE") if arguments.with_compliance else None,
        throttle_calls=arguments.throttle_calls,
    )


def _tried(record: Record, experiment: Experiment, step: Callable[[], Any]) -> Any:  # noqa: ANN401  # what the step gives
    """Take a step of an experiment; that it failed is its answer, and costs no other experiment."""
    try:
        return step()
    except Exception as error:  # noqa: BLE001  # whatever an experiment meets, the others go on
        _answered(record, experiment, Answer(f"failed: {type(error).__name__}: {error}", None, complete=False))
    return None


def _read_all(record: Record, readers: dict[str, tuple[Experiment, Reader]], wait_s: float) -> None:
    until = time.monotonic() + wait_s
    while readers:
        late = time.monotonic() >= until
        for name, (experiment, read) in list(readers.items()):
            answer = _tried(record, experiment, read)
            if answer is not None and (answer.complete or late):
                _answered(record, experiment, answer)
            if answer is None or answer.complete or late:
                del readers[name]
        if readers:
            print(f"  waiting for {', '.join(readers)}")
            time.sleep(POLL_S)


def _answered(record: Record, experiment: Experiment, answer: Answer) -> None:
    record.content["answers"][experiment.name] = {
        "facts": experiment.facts,
        "question": experiment.question,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "complete": answer.complete,
        "summary": answer.summary,
        "evidence": answer.evidence,
    }
    record.write()
    print(f"  {experiment.name} ({', '.join(experiment.facts)}): {answer.summary}")


def open_account(arguments: argparse.Namespace, record: Record) -> Account:
    """Return the account that the credentials belong to; the file of answers follows all that is made in it."""
    session = boto3.Session(region_name=arguments.region)
    identity = session.client("sts", endpoint_url=arguments.endpoint_url).get_caller_identity()

    def changed() -> None:
        record.content["made"] = [asdict(made) for made in account.made]
        record.write()

    account = Account(
        session=session,
        partition=identity["Arn"].split(":")[1],
        id=identity["Account"],
        region=session.region_name,
        endpoint_url=arguments.endpoint_url,
        prefix=f"auditlake-probe-{secrets.token_hex(4)}",
        changed=changed,
    )
    return account


def clean_up(account: Account, record: Record) -> int:
    """Remove what was made; returns the number of things that are left, which the screen and the file list."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _signal, _frame: print("Please wait: what was made is being removed."))
    print("Removing what was made; AWS takes some minutes for the streams.")
    left = remove_all(account, lambda line: print(f"  {line}"))
    record.content["left"] = left
    record.write()
    for thing in left:
        print(f"  LEFT IN THE ACCOUNT: {thing}")
    if left:
        print(f"Remove them, or try again later with --remove {record.path}")
    return len(left)


def remove_recorded(arguments: argparse.Namespace) -> int:
    """Remove what an earlier run noted in its file; returns the exit status."""
    record = Record(arguments.remove, json.loads(arguments.remove.read_text(encoding="utf-8")))
    arguments.region = record.content["region"]
    account = open_account(arguments, record)
    account.made = [Made(**made) for made in record.content["made"]]
    return 1 if clean_up(account, record) else 0


def _arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--region", help="the region to ask; a small one, whose streams take 1 MiB/s, refuses sooner")
    parser.add_argument("--out", type=Path, help="the file of answers (default: probe-REGION-DATE.json)")
    parser.add_argument("--yes", action="store_true", help="begin without asking")
    parser.add_argument("--with-compliance", action="store_true", help=COMPLIANCE_NOTE)
    parser.add_argument("--wait-minutes", type=float, default=15, help="how long to wait for objects (default: 15)")
    parser.add_argument("--throttle-calls", type=int, default=40, help="puts to go beyond the quota with (default: 40)")
    parser.add_argument("--remove", type=Path, metavar="FILE", help="only remove what the file of an earlier run names")
    parser.add_argument("--endpoint-url", help="another server than AWS, to try this script out")
    return parser.parse_args(given)


def main(given: Sequence[str] | None = None) -> int:
    """Run the probe; returns the exit status: 0 when nothing is left in the account."""
    arguments = _arguments(given)
    if arguments.remove:
        return remove_recorded(arguments)
    tell_cost(arguments.throttle_calls, arguments.with_compliance)
    if not arguments.yes and input("Begin? [y/N] ").strip().lower() not in ("y", "yes"):
        print("Nothing was made.")
        return 0
    record = Record(Path(), {"answers": {}, "made": [], "left": None})
    try:
        account = open_account(arguments, record)
    except (BotoCoreError, ClientError) as error:
        print(f"The account cannot be reached, and nothing was made: {error}", file=sys.stderr)
        return 1
    begun = datetime.now(UTC)
    record.path = arguments.out or Path(f"probe-{account.region}-{begun:%Y-%m-%d-%H%M%S}.json")
    record.content |= {"region": account.region, "date": begun.isoformat(timespec="seconds"), "prefix": account.prefix}
    return _guarded(account, record, arguments)


def _guarded(account: Account, record: Record, arguments: argparse.Namespace) -> int:
    """Probe, and remove everything whatever happens."""
    signal.signal(signal.SIGTERM, _interrupt)
    status = 0
    try:
        probe(account, record, arguments)
    except KeyboardInterrupt:
        print("Interrupted.")
        status = 130
    except (BotoCoreError, ClientError, TimeoutError) as error:
        print(f"The probe stops: {error}", file=sys.stderr)
        status = 1
    finally:
        left = clean_up(account, record)
    print(f"The answers are in {record.path}; what they settle belongs into docs/parity.yaml.")
    return 1 if left else status


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())

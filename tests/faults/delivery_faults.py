"""What befalls the delivery: the store refuses or hangs up, partitions are too many, an outage lasts a day."""

from tests.faults import instances
from tests.faults.events import Sent
from tests.faults.found import find
from tests.faults.narrow import Narrow
from tests.faults.partial_puts import part_of_a_batch_fails
from tests.faults.server import plan_file, running, settled
from tests.faults.store_server import Fault, storing
from tests.faults.trial import Outcome, Trial

__all__ = [
    "answer_lost",
    "long_outage",
    "object_exists",
    "part_of_a_batch_fails",
    "store_refuses",
    "too_many_partitions",
]

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "faults",
    "AWS_SECRET_ACCESS_KEY": "faults",
    "AWS_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": "/dev/null",
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
}
PARTITIONS = 520


def store_refuses(trial: Trial) -> Outcome:
    """The store answers 503, then 403, or hangs up, and works at last."""
    faults = ["503", "403", "hang up"]
    return trial.each(trial.sample(faults, 2), lambda fault: _stored_after(trial, lambda n: fault if n <= 5 else ""))


def answer_lost(trial: Trial) -> Outcome:
    """The store keeps the object and its answer is lost, at every other put."""
    return _stored_after(trial, lambda number: "lost answer" if number % 2 else "")


def object_exists(trial: Trial) -> Outcome:
    """The store has kept the object and every answer to it was lost, so that the next attempt finds its key taken."""
    return _stored_after(trial, lambda number: "lost answer" if number <= 4 else "")


def _stored_after(trial: Trial, fault: Fault) -> Outcome:
    folder, sent = trial.directory(), Sent()
    (folder / "objects" / "bucket").mkdir(parents=True)
    problems = []
    with storing(folder / "objects", fault) as store:
        arguments = ("--store", "s3://bucket", "--store-endpoint", store.url)
        for _ in range(2):
            with running(folder / "data", *arguments, environment=CREDENTIALS) as server:
                for kind in ("login", "document.read"):
                    server.post_batch(sent, [sent.make(event_type=kind) for _ in range(4)])
                problem = server.deliver()
                problems += [problem] if problem else []
                server.stop()
        injected = store.injected
    return sent.compare(find(folder / "objects"), injected).with_problems(*problems)


def too_many_partitions(trial: Trial) -> Outcome:
    """More partitions than Firehose keeps active: what is beyond them is under errors/."""
    folder, sent = trial.directory(), Sent()
    plan = plan_file(folder, handler="tests.faults.function.handle")
    arguments = ("--plan", str(plan), "--allow-refused")
    with running(folder / "data", *arguments) as server:
        for first in range(0, PARTITIONS, 40):
            for number in range(first, first + 40):
                server.post(sent, *sent.make(fault=f"many partitions:{number}"))
            trial.step(first, PARTITIONS)
        problem = server.deliver()
        refused = server.get_status()["failed"].get("activePartitionExceeded", 0)
        server.stop()
    problems = [problem] if problem else []
    return settled(folder / "data", sent, refused, *arguments).with_problems(*problems)


def long_outage(trial: Trial) -> Outcome:
    """The store refuses every object for a day of an accelerated clock, and then takes them."""
    with Narrow(trial.directory()) as narrow:
        data, sent = trial.directory() / "data", Sent()
        told = narrow.run(data, sent, instances.batches(sent), outage_s=86_400)
        return instances.drained(narrow, data, sent, 1).with_problems(*told.problems())

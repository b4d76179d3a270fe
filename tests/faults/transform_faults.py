"""What befalls the transform: it throws, hangs, dies, answers wrongly, or works only after a while."""

import json
import os
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path

from tests.faults.events import Sent
from tests.faults.server import BUCKET, Server, plan_file, running, settled
from tests.faults.trial import Outcome, Trial

TIMEOUT_S = 2
"""The time-out of the function in the trials' plan."""


def _failing(trial: Trial, fault: str, neighbours: int = 3, code: str | None = None) -> Outcome:
    """Have events befall the transform among others: each is in the table or under errors/, with its code."""
    folder, sent = trial.directory(), Sent()
    plan = plan_file(folder, handler="tests.faults.function.handle", timeout=TIMEOUT_S)
    environment = {"AUDITLAKE_FAULTS": str(folder)}
    arguments = ("--plan", str(plan), "--allow-refused")
    problems = []
    with running(folder / "data", *arguments, environment=environment) as server:
        _post(server, sent, fault, neighbours)
        problem = server.deliver()
        dropped = server.get_status()["dropped"]
        server.stop()
    problems += [problem] if problem else []
    problems += _wrong_codes(folder / "data", code)
    outcome = settled(folder / "data", _without_dropped(sent, fault, dropped), 1, *arguments, environment=environment)
    return (outcome + Outcome(acknowledged=dropped, found=dropped)).with_problems(*problems).named(fault)


def _post(server: Server, sent: Sent, fault: str, neighbours: int) -> None:
    for _ in range(neighbours):
        server.post(sent, *sent.make())
    server.post(sent, *sent.make(fault=fault))
    server.post_batch(sent, [sent.make() for _ in range(neighbours)])


def _without_dropped(sent: Sent, fault: str, dropped: int) -> Sent:
    """Leave out the event that the function said to drop, if the runtime counted exactly that one."""
    if fault == "dropped" and dropped == 1:
        sent.acknowledged -= {one for one, body in sent.bodies.items() if b'"dropped"' in body}
    return sent


def _wrong_codes(data: Path, code: str | None) -> list[str]:
    """Say which error objects have another code than the failure has by the table of outcomes (B4)."""
    lines = [
        json.loads(line)
        for path in sorted((data / BUCKET / "errors").rglob("*"))
        if path.is_file()
        for line in path.read_bytes().splitlines()
    ]
    codes = {str(line.get("errorCode") or line.get("lastErrorCode")) for line in lines}
    if code is None:
        return []
    return [] if codes == {code} else [f"the errors have the codes {sorted(codes)}, and not {code}"]


def throws(trial: Trial) -> Outcome:
    """The function raises at each attempt."""
    return _failing(trial, "throw", code="Lambda.FunctionError")


def times_out(trial: Trial) -> Outcome:
    """The function runs longer than its time-out at each attempt."""
    return _failing(trial, "hang", code="Lambda.FunctionTimedOut")


def hangs(trial: Trial) -> Outcome:
    """The process of the function is stopped and answers nothing: its invocation is given up and made again."""
    folder, sent = trial.directory(), Sent()
    arguments = ("--plan", str(plan_file(folder, timeout=TIMEOUT_S)), "--allow-refused")
    with running(folder / "data", *arguments) as server:
        server.post(sent, *sent.make())
        server.flush()
        before = set(server.children())
        for pid in before:
            os.kill(pid, signal.SIGSTOP)
        for _ in range(3):
            server.post(sent, *sent.make())
        problem = server.deliver()
        for pid in before:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        server.stop()
    return settled(folder / "data", sent, len(before), *arguments).with_problems(*([problem] if problem else []))


def answers_partly(trial: Trial) -> Outcome:
    """The function leaves a record out, answers twice, or for a record that nobody asked about."""
    cases = {"missing": "Lambda.MissingRecordId", "twice": "Lambda.DuplicatedRecordId", "foreign": None}
    return trial.each(trial.sample(list(cases.items()), 3), lambda case: _failing(trial, case[0], code=case[1]))


def drops(trial: Trial) -> Outcome:
    """The function answers Dropped: the runtime counts it, and nothing else is lost.

    What is dropped by its answer counts as found when the counter says so; the function that is shipped never does.
    """
    return _failing(trial, "dropped")


def answers_too_much(trial: Trial) -> Outcome:
    """The function's answer is larger than Lambda takes."""
    return _failing(trial, "oversize", code="Lambda.FunctionError")


def answers_no_json(trial: Trial) -> Outcome:
    """The function's answer cannot be read, has no records, or says what Firehose does not know."""
    cases = ["not json", "no records", "no data", "bad base64", "unknown result"]
    return trial.each(trial.sample(cases, 2), lambda fault: _failing(trial, fault))


def one_among_many(trial: Trial) -> Outcome:
    """One event that no row can be made of among 500: it alone is under errors/."""
    return _failing(trial, "no data", neighbours=250 if trial.whole else 100, code="Lambda.InvalidReturnFormat")


def poison(trial: Trial) -> Outcome:
    """One event kills the process of the function at each attempt: its batch is under errors/, redrivable."""
    return _failing(trial, "poison", code="Lambda.FunctionError")


def passes_after_a_while(trial: Trial) -> Outcome:
    """The function fails at the first attempts and then works: all is in the table."""
    failures = [1, 3] if trial.whole else [1]
    return trial.each(failures, lambda times: _failing(trial, f"passes:event{times}:{times}"))


def changes_version(trial: Trial) -> Outcome:
    """The function is exchanged while batches are under way: its processes end, and what they had is asked again."""
    folder, sent = trial.directory(), Sent()
    plans = [plan_file(folder), plan_file(trial.directory(), handler="tests.faults.function.handle")]
    data = folder / "data"
    injected = 0
    for number in range(6 if trial.whole else 2):
        with running(data, "--plan", str(plans[number % 2]), "--allow-refused") as server:
            server.post_batch(sent, [sent.make() for _ in range(50)])
            flushing = threading.Thread(target=server.flush)
            flushing.start()
            time.sleep(trial.random.uniform(0, 0.3))
            server.stop()
            flushing.join()
            injected += 1
    return settled(data, sent, injected, "--plan", str(plans[1]), "--allow-refused")

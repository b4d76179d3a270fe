"""What befalls processes: killed at a call, told to stop, frozen, started twice, started again and again."""

import os
import signal
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from tests.faults import instances, trace
from tests.faults.events import Sent
from tests.faults.server import NotStartedError, Server, load, running, settled
from tests.faults.trial import ALL_CASES, Outcome, Trial


def killed_at_each_call(trial: Trial) -> Outcome:
    """Kill the narrow driver as it enters each call by which it changes files."""
    return instances.each_call(trial, trace.CHANGES, instances.Options(), bounded=6, at_most=ALL_CASES)


def killed_at_each_call_of_a_backup(trial: Trial) -> Outcome:
    """Kill the narrow driver with a source backup at each such call: an event must be in the table and the backup."""
    return instances.each_call(trial, trace.CHANGES, instances.Options(), bounded=6, subject=instances.BACKED_UP)


def killed_before_syncs(trial: Trial) -> Outcome:
    """Kill the narrow driver after a file or its name has changed and before fsync has it on the disk."""
    return instances.each_call(trial, ("fsync",), instances.Options(), bounded=4)


def server_killed_at_each_call(trial: Trial) -> Outcome:
    """Kill the whole runtime, under HTTP requests, as a thread enters its nth call of a name, for every n there is."""
    data = trial.directory() / "data"
    log = data.parent / "calls.log"
    with running(data) as server:
        with trace.tracing(server.pid, log, ["-f", *trace.listing()]):
            _requests(server, Sent())
        listed = {(call.name, call.nth) for call in trace.calls(log, data)}
    return trial.each(trial.sample(sorted(listed), 2, SERVER_KILLS), lambda case: _killed_server(trial, *case))


SERVER_KILLS = 60
"""How many of the whole runtime's calls a whole run kills it at; the narrow driver has all of them."""


def _killed_server(trial: Trial, name: str, nth: int) -> Outcome:
    data, sent = trial.directory() / "data", Sent()
    log = data.parent / "trace.log"
    with running(data) as server, trace.tracing(server.pid, log, ["-f", *trace.killing(name, nth)]):
        _requests(server, sent)
        with suppress(Exception):
            server.process.wait(2)
    return settled(data, sent, trace.injected(log))


def _requests(server: Server, sent: Sent) -> None:
    load(server, sent)
    server.flush()
    load(server, sent, batch=0)


def stopped_with_open_requests(trial: Trial) -> Outcome:
    """Tell a runtime to stop while clients POST: what it acknowledged is delivered, and it ends with 0."""

    def once(_number: int) -> Outcome:
        data, sent = trial.directory() / "data", Sent()
        with running(data) as server, ThreadPoolExecutor(8) as clients:
            stop = threading.Event()
            posting = [clients.submit(_post_until, server, sent, stop) for _ in range(8)]
            time.sleep(trial.random.uniform(0.2, 0.6))
            os.kill(server.pid, signal.SIGTERM)
            exit_code = server.process.wait(90)
            stop.set()
            for one in posting:
                one.result()
        outcome = settled(data, sent, 1)
        return outcome.with_problems(*([f"it ended with {exit_code}"] if exit_code else []))

    return trial.each(range(10 if trial.whole else 1), once)


def _post_until(server: Server, sent: Sent, stop: threading.Event) -> None:
    while not stop.is_set() and server.process.poll() is None:
        with suppress(RuntimeError):  # the client that all share was closed
            server.post(sent, *sent.make())


def frozen(trial: Trial) -> Outcome:
    """Stop the process's clock with SIGSTOP, let it go on: the requests that waited are answered."""
    data, sent = trial.directory() / "data", Sent()
    seconds = 60 if trial.whole else 2
    with running(data) as server, ThreadPoolExecutor(4) as clients:
        load(server, sent)
        server.client.timeout = 120
        os.kill(server.pid, signal.SIGSTOP)
        waiting = [clients.submit(server.post, sent, *sent.make()) for _ in range(4)]
        for second in range(seconds):
            trial.step(second, seconds)
            time.sleep(1)
        os.kill(server.pid, signal.SIGCONT)
        statuses = [one.result() for one in waiting]
        load(server, sent)
        problem = server.deliver()
        server.stop()
    refused = [f"a request that waited was answered with {status}" for status in statuses if status != 202]
    return settled(data, sent, 1).with_problems(*refused, *([problem] if problem else []))


def started_twice(trial: Trial) -> Outcome:
    """Start a second process on a data directory that one serves: it is refused, and the first goes on."""
    data, sent = trial.directory() / "data", Sent()
    problems = []
    with running(data) as server:
        load(server, sent)
        try:
            second = Server(data)
        except NotStartedError as error:
            if str(server.pid) not in str(error) and "nother process" not in str(error):
                problems.append(f"the refusal names no other process: {error}")
        else:
            second.kill()
            problems.append("a second process runs on the data directory")
        load(server, sent)
        server.stop()
    return settled(data, sent, 1).with_problems(*problems)


def workers_killed(trial: Trial) -> Outcome:
    """Kill every function's process, as the kernel does when memory is short, while they work."""
    data, sent = trial.directory() / "data", Sent()
    killed = 0
    with running(data) as server, ThreadPoolExecutor(1) as flusher:
        for number in range(20 if trial.whole else 4):
            load(server, sent)
            flushing = flusher.submit(server.flush)
            time.sleep(trial.random.uniform(0, 0.15))
            children = server.children()
            for pid in children[: 1 + number % 2]:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    killed += 1
            flushing.result()
        problem = server.deliver()
        server.stop()
    return settled(data, sent, killed).with_problems(*([problem] if problem else []))


def restart_storm(trial: Trial) -> Outcome:
    """Start, POST and kill again and again, now at once, now after a while."""
    data, sent = trial.directory() / "data", Sent()

    def once(_number: int) -> Outcome:
        server = Server(data)
        load(server, sent, singles=trial.random.randrange(4), batch=trial.random.choice([0, 0, 3]))
        if trial.random.random() < 0.5:
            threading.Thread(target=server.flush).start()
            time.sleep(trial.random.uniform(0, 0.3))
        server.kill()
        return Outcome(injected=1)

    times: Sequence[int] = range(100 if trial.whole else 5)
    return settled(data, sent, trial.each(times, once).injected)

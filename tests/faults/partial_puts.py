"""A PutRecordBatch of which a part fails: the receiver puts that part again, or says which events to send again."""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from auditlake.runtime.function import FunctionError, FunctionProcess
from auditlake.runtime.plan_reader import load_plan
from tests.faults.events import Sent
from tests.faults.http_server import Handler, serving
from tests.faults.server import acknowledged_of, running, settled
from tests.faults.trial import Outcome, Trial

_MEDIA_TYPE = "application/x-amz-json-1.1"
_FAILED = {"ErrorCode": "ServiceUnavailableException", "ErrorMessage": "Slow down."}


@contextmanager
def _between(url: str, trial: Trial, injected: list[int]) -> Iterator[str]:
    """Stand between receiver and stream: a random part of each PutRecordBatch fails and never gets there."""

    class Puts(Handler):
        def do_POST(self) -> None:  # noqa: N802 - the name that http.server calls
            asked = json.loads(self.body())
            share = trial.random.choice([0, 0.3, 0.6, 1])
            fails = [trial.random.random() < share for _ in asked["Records"]]
            injected[0] += sum(fails)
            kept = [record for record, failed in zip(asked["Records"], fails, strict=True) if not failed]
            answers = iter(_put(url, self.headers["x-amz-target"], {**asked, "Records": kept}) if kept else [])
            results = [_FAILED if failed else next(answers) for failed in fails]
            answer = {"FailedPutCount": sum(fails), "Encrypted": False, "RequestResponses": results}
            self.answer(200, json.dumps(answer).encode(), {"content-type": _MEDIA_TYPE})

    with serving(Puts) as between:
        yield between


def _put(url: str, target: str, content: dict[str, Any]) -> list[dict[str, str]]:
    headers = {"x-amz-target": target, "content-type": _MEDIA_TYPE}
    answer = httpx.post(url, content=json.dumps(content), headers=headers, timeout=30)
    results: list[dict[str, str]] = answer.json()["RequestResponses"]
    return results


def part_of_a_batch_fails(trial: Trial) -> Outcome:
    """Put batches by the real receiver through a stream of which a random part of each PutRecordBatch fails."""
    folder, sent = trial.directory(), Sent()
    injected = [0]
    plan = load_plan()
    function = next(one for one in plan.functions if "receiver" in one.name)
    with running(folder / "data") as server, _between(server.url, trial, injected) as url:
        environment = {
            "AWS_ENDPOINT_URL_FIREHOSE": url,
            "AWS_REGION": plan.region,
            "AWS_DEFAULT_REGION": plan.region,
            "AWS_ACCESS_KEY_ID": "faults",
            "AWS_SECRET_ACCESS_KEY": "faults",
            "AUDITLAKE_FUNCTION_ARN": function.arn,
        }
        receiver = FunctionProcess(function, folder / "receiver.log", environment)

        def once(_number: int) -> Outcome:
            events = [sent.make(padding=trial.random.choice([10, 3_000])) for _ in range(trial.random.randrange(1, 30))]
            return _invoke(receiver, sent, events)

        outcome = trial.each(range(20 if trial.whole else 3), once)
        receiver.close()
        problem = server.deliver()
        server.stop()
    problems = (*outcome.problems, *([problem] if problem else []))
    return settled(Path(folder / "data"), sent, injected[0]).with_problems(*problems)


def _invoke(receiver: FunctionProcess, sent: Sent, events: list[tuple[str, bytes]]) -> Outcome:
    """POST a batch and send again what the answer says, as a client does."""
    for _ in range(20):
        if not events:
            return Outcome()
        answer = receiver.invoke(json.dumps(_event([body for _, body in events])).encode())
        if isinstance(answer, FunctionError):
            return Outcome(problems=(f"the receiver failed: {answer.message}",))
        content = json.loads(answer)
        taken = acknowledged_of(content["statusCode"], content["body"].encode(), [one for one, _ in events])
        sent.acknowledge(taken)
        events = [event for event in events if event[0] not in taken]
    return Outcome(problems=(f"{len(events)} events were not taken in 20 attempts",))


def _event(bodies: list[bytes]) -> dict[str, object]:
    """Return the event of a Lambda proxy integration."""
    headers = {"content-type": "application/x-ndjson"}
    return {
        "resource": "/events/batch",
        "path": "/events/batch",
        "httpMethod": "POST",
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "pathParameters": None,
        "stageVariables": None,
        "requestContext": {
            "requestId": "request",
            "extendedRequestId": "request",
            "requestTimeEpoch": 1_795_521_600_000,
            "resourcePath": "/events/batch",
            "httpMethod": "POST",
            "identity": {"sourceIp": "127.0.0.1"},
        },
        "body": base64.b64encode(b"\n".join(bodies)).decode(),
        "isBase64Encoded": True,
    }

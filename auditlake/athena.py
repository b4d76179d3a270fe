"""Athena as `reconcile` asks it: one statement, waited for, its rows read from the object that the workgroup keeps.

The object is read and not GetQueryResults: that gives 1,000 rows a call, and there may be ten million.
"""

import csv
import io
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from auditlake.errors import ReconcileError

POLL_S = 1.0
_RUNNING = ("QUEUED", "RUNNING")


@dataclass(frozen=True)
class Athena:
    """A workgroup, the database that statements are about, and boto3's clients of Athena and S3."""

    client: Any
    s3: Any
    workgroup: str
    database: str
    output: str | None = None
    """`s3://...` for results, where the workgroup has no place of its own."""
    sleep: Callable[[float], None] = time.sleep

    def rows(self, sql: str) -> Iterator[list[str]]:
        """Yield the rows of a statement as Athena writes them into its CSV: null is an empty string.

        Raises ReconcileError when Athena refuses or ends it, or its result cannot be read; Ctrl-C stops it in Athena.
        """
        with _explained(f"The workgroup {self.workgroup} cannot run the query", "athena:StartQueryExecution"):
            execution = self.client.start_query_execution(
                QueryString=sql,
                QueryExecutionContext={"Database": self.database},
                WorkGroup=self.workgroup,
                **({"ResultConfiguration": {"OutputLocation": self.output}} if self.output else {}),
            )["QueryExecutionId"]
            try:
                location = self._location(execution)
            except KeyboardInterrupt:
                self.client.stop_query_execution(QueryExecutionId=execution)
                raise
        url = urlsplit(location)
        with _explained(f"The result {location} cannot be read", "s3:GetObject"):
            body = self.s3.get_object(Bucket=url.netloc, Key=url.path.lstrip("/"))["Body"]
            lines = csv.reader(io.TextIOWrapper(body, encoding="utf-8", newline=""))
            next(lines, None)
            yield from lines

    def _location(self, execution: str) -> str:
        """Wait for the end of an execution, and return where its result is."""
        while True:
            found = self.client.get_query_execution(QueryExecutionId=execution)["QueryExecution"]
            state = found["Status"]["State"]
            if state == "SUCCEEDED":
                return str(found["ResultConfiguration"]["OutputLocation"])
            if state not in _RUNNING:
                why = found["Status"].get("StateChangeReason", "it gives no reason").rstrip(".")
                raise ReconcileError(
                    f"Athena ended the query {execution} as {state}: {why}. If it read more than the workgroup allows, "
                    "narrow it with --since, or let an administrator raise the cutoff."
                )
            self.sleep(POLL_S)


def string(text: str) -> str:
    """Return a text as a literal of Athena's SQL."""
    return "'" + text.replace("'", "''") + "'"


@contextmanager
def _explained(what: str, permission: str) -> Iterator[None]:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        code, message = error.response["Error"].get("Code", ""), error.response["Error"].get("Message", "")
        hint = (
            f"; these credentials need {permission}" if code in ("403", "AccessDenied", "AccessDeniedException") else ""
        )
        raise ReconcileError(f"{what}: {code}: {message.rstrip('.')}{hint}.") from None
    except (BotoCoreError, csv.Error) as error:
        raise ReconcileError(f"{what}: {str(error).rstrip('.')}.") from None

"""An AWS to apply the stack to: moto's server, with what moto 5.2.5 lacks for it.

moto vouches for what the provider sends and reads back, neither for Firehose nor for Object Lock.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from moto.apigateway.models import APIGatewayBackend
from moto.athena.models import athena_backends
from moto.athena.responses import AthenaResponse
from moto.server import ThreadedMotoServer

SERVICES = (
    "apigateway",
    "athena",
    "cloudwatch",
    "cloudwatchlogs",
    "events",
    "firehose",
    "glue",
    "iam",
    "kms",
    "lambda",
    "s3",
    "s3control",
    "sns",
    "sts",
    "wafv2",
)


@contextmanager
def moto() -> Iterator[str]:
    """Serve moto on a free port of this process while the block runs; gives its URL."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MOTO_IAM_LOAD_MANAGED_POLICIES", "true")
        _take_integrations_without_uri(patch)
        _delete_named_queries(patch)
        server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        server.start()
        try:
            host, port = server.get_host_and_port()
            url = f"http://{host}:{port}"
            # Another test of this process may have made the account before, without AWS's own policies.
            httpx.post(f"{url}/moto-api/reset", timeout=60).raise_for_status()
            yield url
        finally:
            server.stop()


def override(url: str) -> str:
    """Return the text of an override file that points the provider at `url`."""
    endpoints = "\n".join(f'    {service} = "{url}"' for service in SERVICES)
    return f"""provider "aws" {{
  access_key        = "test"
  secret_key        = "test"
  max_retries       = 3 # an answer 500 is a gap of moto's and stays one; a connection closed under load is not
  s3_use_path_style = true

  endpoints {{
{endpoints}
  }}
}}
"""


def _take_integrations_without_uri(patch: pytest.MonkeyPatch) -> None:
    """A mock integration has neither uri nor method, and moto demands both of every integration."""
    build: Any = APIGatewayBackend._build_integration_args

    def args(self: APIGatewayBackend, integration: dict[str, Any]) -> dict[str, Any]:
        return build(self, {"uri": "", "httpMethod": "", **integration})  # type: ignore[no-any-return]  # moto is untyped

    patch.setattr(APIGatewayBackend, "_build_integration_args", args)


def _delete_named_queries(patch: pytest.MonkeyPatch) -> None:
    """The operation DeleteNamedQuery is not in moto."""

    def delete_named_query(self: AthenaResponse) -> str:
        backend = athena_backends[self.current_account][self.region]
        backend.named_queries.pop(self._get_param("NamedQueryId"))
        return "{}"

    patch.setattr(AthenaResponse, "delete_named_query", delete_named_query, raising=False)

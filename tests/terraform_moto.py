"""An AWS to apply the stack to: moto's server, with what moto 5.2.5 lacks for it.

moto vouches for what the provider sends and reads back, neither for Firehose nor for Object Lock.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import httpx
import pytest
from moto.apigateway.models import APIGatewayBackend, DomainName
from moto.apigateway.responses import APIGatewayResponse
from moto.athena.models import athena_backends
from moto.athena.responses import AthenaResponse
from moto.server import ThreadedMotoServer

from tests import standing_provider

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
        patch.delenv(standing_provider.REATTACH, raising=False)
        _take_integrations_without_uri(patch)
        _delete_named_queries(patch)
        _keep_mutual_tls(patch)
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


def client(service: str, url: str) -> Any:  # noqa: ANN401  # boto3 makes its clients at run time
    """Return a client of a service of moto."""
    return boto3.client(
        service,  # type: ignore[call-overload]  # one of many literals
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",  # noqa: S106  # moto takes any
    )


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


def _keep_mutual_tls(patch: pytest.MonkeyPatch) -> None:
    """A domain name forgets its truststore, and every plan would set it again."""
    create: Any = APIGatewayResponse.create_domain_name
    told: Any = DomainName.to_json

    def create_domain_name(self: APIGatewayResponse) -> Any:  # noqa: ANN401  # moto's answers are many types
        answer = create(self)
        made: Any = self.backend.domain_names[self._get_param("domainName")]
        made.mutual_tls_authentication = self._get_param("mutualTlsAuthentication")
        return answer

    def to_json(self: DomainName) -> dict[str, Any]:
        truststore = getattr(self, "mutual_tls_authentication", None)
        return {**told(self), **({"mutualTlsAuthentication": truststore} if truststore else {})}

    patch.setattr(APIGatewayResponse, "create_domain_name", create_domain_name)
    patch.setattr(DomainName, "to_json", to_json)

"""The API of the delivery stream, and of a data stream before it, as it is served over HTTP: who may put to it."""

import uuid
from collections.abc import Callable, Mapping

from auditlake.runtime.api_model import ApiError, error_response
from auditlake.runtime.authenticate import Authentication, Mode
from auditlake.runtime.exchange import Finish, GatewayError, Request, Response
from auditlake.runtime.firehose_api import FirehoseApi
from auditlake.runtime.kinesis_api import TARGET_PREFIX as KINESIS_PREFIX
from auditlake.runtime.kinesis_api import KinesisApi
from auditlake.runtime.signature import AccessKey, read_signature, verify_signature

_ERRORS = {
    "EXPIRED_TOKEN": "ExpiredTokenException",
    "INVALID_SIGNATURE": "InvalidSignatureException",
    "MISSING_AUTHENTICATION_TOKEN": "MissingAuthenticationTokenException",
}
"""The errors of the JSON 1.1 protocol for a wrong signature."""

Verify = Callable[[Request, Mapping[str, AccessKey], str, str, float], object]


def is_call(head: Request) -> bool:
    """Whether a request is a call of an AWS service by the JSON protocol."""
    return head.method == "POST" and head.path == "/" and "x-amz-target" in head.headers


class StreamFront:
    """Lets in who signed with one of the given keys, who shows the token, or anybody where nothing is asked for."""

    def __init__(
        self,
        firehose: FirehoseApi,
        authentication: Authentication,
        region: str,
        clock: Callable[[], float],
        kinesis: KinesisApi | None = None,
    ) -> None:
        """Serve `firehose`, and `kinesis` where there is one; `clock` gives the epoch time in seconds."""
        self._kinesis = kinesis
        self._firehose = firehose
        self._authentication = authentication
        self._region = region
        self._clock = clock

    def admit(self, head: Request) -> Response | Finish:
        """Look at the head of a call: a wrong signature is an answer of the protocol."""
        if not is_call(head):
            return _refused(ApiError("UnknownOperationException", "Only calls of the stream are taken here."))
        let_in = self._authentication.mode is Mode.NONE or self._authentication.bears_token(head)
        refused = None if let_in else self._refusal(read_signature, head)
        if refused is not None:
            return _refused(refused)

        async def finish(request: Request) -> Response:
            refused = None if let_in else self._refusal(verify_signature, request)
            if refused is not None:
                return _refused(refused)
            target = request.headers["x-amz-target"]
            if self._kinesis is not None and target.startswith(KINESIS_PREFIX):
                return await self._kinesis.answer(target, request.body)
            return await self._firehose.answer(target, request.body)

        return finish

    def too_large(self, head: Request) -> Response:  # noqa: ARG002 - the protocol of a front
        """Answer a call whose body is larger than any request of the stream may be; the code is unverified (A3)."""
        return _refused(ApiError("RequestEntityTooLargeException", "The request is larger than 10 MB.", 413))

    def _refusal(self, verify: Verify, request: Request) -> ApiError | None:
        asks_kinesis = self._kinesis is not None and request.headers["x-amz-target"].startswith(KINESIS_PREFIX)
        service = "kinesis" if asks_kinesis else "firehose"
        try:
            verify(request, self._authentication.keys, service, self._region, self._clock())
        except GatewayError as error:
            return ApiError(_ERRORS[error.type], error.message)
        return None


def _refused(error: ApiError) -> Response:
    return error_response(error, str(uuid.uuid4()))

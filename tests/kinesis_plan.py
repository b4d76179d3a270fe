"""The plan of the defaults with a data stream before its delivery stream, as Terraform plans `kinesis_source = {}`."""

import json
from typing import Any

from auditlake.runtime.planned import plan_text

SOURCE = "auditlake-source"
SOURCE_ARN = f"arn:aws:kinesis:us-east-1:123456789012:stream/{SOURCE}"


def kinesis_plan() -> dict[str, Any]:
    """Return the plan; test_terraform_kinesis.py holds it against Terraform's own."""
    plan: dict[str, Any] = json.loads(plan_text()[0])
    plan["planned_values"]["root_module"]["child_modules"].append(
        {
            "resources": [
                {
                    "address": "module.kinesis[0].aws_kinesis_stream.source",
                    "mode": "managed",
                    "type": "aws_kinesis_stream",
                    "values": {
                        "name": SOURCE,
                        "encryption_type": "KMS",
                        "kms_key_id": "alias/aws/kinesis",
                        "retention_period": 168,
                        "stream_mode_details": [{"stream_mode": "ON_DEMAND"}],
                    },
                }
            ]
        }
    )
    for module in plan["planned_values"]["root_module"]["child_modules"]:
        for resource in module["resources"]:
            _change(resource)
    return plan


def resource(plan: dict[str, Any], kind: str) -> dict[str, Any]:
    """Return the values of the plan's only resource of a type."""
    modules = plan["planned_values"]["root_module"]["child_modules"]
    (found,) = (one["values"] for module in modules for one in module["resources"] if one["type"] == kind)
    values: dict[str, Any] = found
    return values


def _change(resource: dict[str, Any]) -> None:
    values = resource["values"]
    match resource["type"]:
        case "aws_kinesis_firehose_delivery_stream":
            values["server_side_encryption"] = []
            values["kinesis_source_configuration"] = [{"kinesis_stream_arn": SOURCE_ARN}]
        case "aws_lambda_function":
            variables = values["environment"][0]["variables"]
            if variables.pop("DELIVERY_STREAM_NAME", None):
                variables["KINESIS_STREAM_NAME"] = SOURCE
        case "aws_api_gateway_rest_api":
            document = json.loads(values["body"])
            integration = document["paths"]["/events"]["post"]["x-amazon-apigateway-integration"]
            integration["uri"] = integration["uri"].replace(":firehose:", ":kinesis:")
            templates = integration["requestTemplates"]
            head = templates["application/json"].partition('{"DeliveryStreamName"')[0]
            put = f'{{"StreamName": "{SOURCE}", "Data": "$util.base64Encode($envelope)", "PartitionKey": "$id"}}\n'
            templates["application/json"] = head + put
            answers = integration["responses"]
            _replace(answers["default"], "$.RecordId", "$.SequenceNumber")
            throttled = '$error.contains("LimitExceeded")'
            _replace(answers["4\\d{2}"], throttled, throttled + ' || $error.contains("ThroughputExceeded")')
            values["body"] = json.dumps(document)


def _replace(response: dict[str, Any], old: str, new: str) -> None:
    template = response["responseTemplates"]["application/json"]
    assert old in template
    response["responseTemplates"]["application/json"] = template.replace(old, new)

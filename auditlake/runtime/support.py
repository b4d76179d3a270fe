"""Which attributes of a plan the runtime implements, and which are harmless on one machine; all others are refused.

The table is read as: resource type -> attribute -> what may stand there. An attribute that is null, empty or false
asks for nothing and is fine, but for a switch that must be on. What AWS set by itself (`assigned.py`) asks for nothing.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from auditlake.errors import PlanError
from auditlake.runtime.assigned import asked


class PlannedResource(Protocol):
    """A resource of the plan, as far as this check needs it."""

    @property
    def address(self) -> str:
        """Where it stands, e.g. `module.delivery.aws_kinesis_firehose_delivery_stream.events`."""

    @property
    def type(self) -> str:
        """The resource type."""

    @property
    def values(self) -> Mapping[str, Any]:
        """The planned values."""


@dataclass(frozen=True)
class Only:
    """The attribute may hold one of these values."""

    values: tuple[Any, ...]


@dataclass(frozen=True)
class Implemented:
    """The runtime does what the attribute says, which is of this kind."""

    kind: str
    types: tuple[type, ...]

    def takes(self, value: object) -> bool:
        """Return whether a value is of the kind."""
        return isinstance(value, self.types) and (bool in self.types or not isinstance(value, bool))


TEXT = Implemented("a string", (str,))
NUMBER = Implemented("a number", (int, float))
SWITCH = Implemented("true or false", (bool,))
STRINGS = Implemented("a map of strings", (dict,))
HARMLESS = "harmless"
"""The attribute changes nothing that one machine has: names, tags, encryption and permissions inside AWS."""

UNKNOWN = Only(())
"""The attribute is not in the table."""

Support = str | Implemented | Only | Mapping[str, "Support"]

_COLUMNS: Support = {"name": TEXT, "type": TEXT, "comment": TEXT, "parameters": HARMLESS}

_STREAM: Support = {
    "name": TEXT,
    "arn": TEXT,
    "destination": Only(("extended_s3",)),
    "extended_s3_configuration": {
        "bucket_arn": TEXT,
        "buffering_interval": NUMBER,
        "buffering_size": NUMBER,
        "cloudwatch_logging_options": HARMLESS,
        "compression_format": Only(("UNCOMPRESSED",)),
        "custom_time_zone": TEXT,
        "data_format_conversion_configuration": {
            "enabled": Only((True,)),
            "input_format_configuration": {
                "deserializer": {
                    # The Hive JSON SerDe is not in the table, so a plan that chooses it is refused (D3).
                    "open_x_json_ser_de": {
                        "case_insensitive": SWITCH,
                        "column_to_json_key_mappings": STRINGS,
                        "convert_dots_in_json_keys_to_underscores": SWITCH,
                    },
                },
            },
            "output_format_configuration": {
                "serializer": {
                    "parquet_ser_de": {
                        "block_size_bytes": NUMBER,
                        "compression": Only(("SNAPPY", "GZIP", "UNCOMPRESSED")),
                        "enable_dictionary_compression": SWITCH,
                        "max_padding_bytes": Only((0,)),
                        "page_size_bytes": NUMBER,
                        "writer_version": Only(("V1", "V2")),
                    },
                },
            },
            "schema_configuration": {
                "catalog_id": HARMLESS,
                "database_name": TEXT,
                "region": HARMLESS,
                "role_arn": HARMLESS,
                "table_name": TEXT,
                "version_id": Only(("LATEST",)),
            },
        },
        # How long AWS tries a partition again before it gives up; this runtime never gives up.
        "dynamic_partitioning_configuration": {"enabled": Only((True,)), "retry_duration": HARMLESS},
        "error_output_prefix": TEXT,
        "file_extension": TEXT,
        "kms_key_arn": HARMLESS,
        "prefix": TEXT,
        "processing_configuration": {
            "enabled": Only((True,)),
            "processors": {
                # A delimiter between records changes nothing in Parquet, which is all that is written here (C4).
                "type": Only(("Lambda", "AppendDelimiterToRecord")),
                "parameters": {
                    "parameter_name": Only(
                        (
                            "LambdaArn",
                            "BufferSizeInMBs",
                            "BufferIntervalInSeconds",
                            "NumberOfRetries",
                            "RoleArn",
                            "Delimiter",
                        )
                    ),
                    "parameter_value": TEXT,
                },
            },
        },
        "role_arn": HARMLESS,
        "s3_backup_mode": Only(("Disabled", "Enabled")),
        "s3_backup_configuration": {
            "bucket_arn": TEXT,
            "buffering_interval": NUMBER,
            "buffering_size": NUMBER,
            "cloudwatch_logging_options": HARMLESS,
            "compression_format": Only(("UNCOMPRESSED", "GZIP")),
            # Nothing of a backup can fail but the store, which is asked until it takes the object.
            "error_output_prefix": HARMLESS,
            "kms_key_arn": HARMLESS,
            "prefix": TEXT,
            "role_arn": HARMLESS,
        },
    },
    "kinesis_source_configuration": {"kinesis_stream_arn": TEXT, "role_arn": HARMLESS},
    # The buffer's file is as well protected as the disk that it lies on.
    "server_side_encryption": {"enabled": SWITCH, "key_arn": HARMLESS, "key_type": HARMLESS},
    "tags": HARMLESS,
    "tags_all": HARMLESS,
    "timeouts": HARMLESS,
}

_KINESIS_STREAM: Support = {
    "name": TEXT,
    "arn": HARMLESS,
    # One machine has one buffer, whatever the number of shards, and keeps there what is not delivered, however long.
    "shard_count": HARMLESS,
    "retention_period": NUMBER,
    "stream_mode_details": {"stream_mode": Only(("ON_DEMAND", "PROVISIONED"))},
    "encryption_type": Only(("KMS", "NONE")),
    "kms_key_id": TEXT,
    "enforce_consumer_deletion": HARMLESS,
    "shard_level_metrics": HARMLESS,
    "tags": HARMLESS,
    "tags_all": HARMLESS,
    "timeouts": HARMLESS,
}

_API: Support = {
    "name": TEXT,
    "description": HARMLESS,
    "body": TEXT,
    "endpoint_configuration": HARMLESS,
    "fail_on_warnings": HARMLESS,
    "disable_execute_api_endpoint": HARMLESS,
    "api_key_source": Only(("HEADER",)),
    # The start says that it keeps nobody out here (door.py).
    "policy": HARMLESS,
    "put_rest_api_mode": HARMLESS,
    "tags": HARMLESS,
    "tags_all": HARMLESS,
}

_METHOD_SETTINGS: Support = {
    "method_path": TEXT,
    # There is one API with one stage.
    "rest_api_id": HARMLESS,
    "stage_name": HARMLESS,
    "settings": {
        "caching_enabled": Only(()),
        # Without a cache these change nothing.
        "cache_data_encrypted": HARMLESS,
        "cache_ttl_in_seconds": HARMLESS,
        "require_authorization_for_cache_control": HARMLESS,
        "unauthorized_cache_control_header_strategy": HARMLESS,
        "data_trace_enabled": Only(()),
        "logging_level": HARMLESS,
        "metrics_enabled": HARMLESS,
        "throttling_burst_limit": NUMBER,
        "throttling_rate_limit": NUMBER,
    },
}

_STAGE: Support = {
    "stage_name": TEXT,
    "rest_api_id": HARMLESS,
    "deployment_id": HARMLESS,
    "variables": STRINGS,
    "description": HARMLESS,
    "access_log_settings": HARMLESS,
    "xray_tracing_enabled": HARMLESS,
    "tags": HARMLESS,
    "tags_all": HARMLESS,
}

_FUNCTION: Support = {
    "function_name": TEXT,
    "handler": TEXT,
    "environment": {"variables": STRINGS},
    "timeout": NUMBER,
    "package_type": Only(("Zip",)),
    # The function runs in the Python that the runtime runs in.
    "runtime": Only(("python3.11", "python3.12", "python3.13", "python3.14")),
    "architectures": HARMLESS,
    "arn": HARMLESS,
    "description": HARMLESS,
    # The package holds the same modules as the zip, whose compiled parts are for the Lambda's processor.
    "filename": HARMLESS,
    "source_code_hash": HARMLESS,
    "memory_size": HARMLESS,
    # Here /tmp is as large as the disk that it lies on.
    "ephemeral_storage": HARMLESS,
    "publish": HARMLESS,
    "reserved_concurrent_executions": HARMLESS,
    "role": HARMLESS,
    "kms_key_arn": HARMLESS,
    "logging_config": HARMLESS,
    "tracing_config": HARMLESS,
    "tags": HARMLESS,
    "tags_all": HARMLESS,
}

_TABLE: Support = {
    "database_name": TEXT,
    "name": TEXT,
    "partition_keys": _COLUMNS,
    "table_type": Only(("EXTERNAL_TABLE", "VIRTUAL_VIEW")),
    "view_original_text": TEXT,
    "catalog_id": HARMLESS,
    "description": HARMLESS,
    # Partition projection tells Athena what a directory shows by itself.
    "parameters": HARMLESS,
    "view_expanded_text": HARMLESS,
    "storage_descriptor": {
        "columns": _COLUMNS,
        "location": HARMLESS,
        "input_format": Only(("org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",)),
        "output_format": Only(("org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",)),
        "ser_de_info": HARMLESS,
        "number_of_buckets": HARMLESS,
    },
}

_BUCKET: Support = {
    "bucket": TEXT,
    "force_destroy": HARMLESS,
    "object_lock_enabled": HARMLESS,
    "tags": HARMLESS,
    "tags_all": HARMLESS,
    # What follows has resources of its own, which the provider repeats here once the bucket stands.
    "grant": HARMLESS,
    "lifecycle_rule": HARMLESS,
    "object_lock_configuration": {
        "object_lock_enabled": HARMLESS,
        "rule": {"default_retention": {"mode": TEXT, "days": NUMBER, "years": NUMBER}},
    },
    "policy": HARMLESS,
    "replication_configuration": HARMLESS,
    "request_payer": Only(("BucketOwner",)),
    "server_side_encryption_configuration": HARMLESS,
    "versioning": {"enabled": SWITCH, "mfa_delete": Only(())},
}

_WEB_ACL: Support = {
    "name": HARMLESS,
    "name_prefix": HARMLESS,
    "description": HARMLESS,
    "scope": Only(("REGIONAL",)),
    "association_config": HARMLESS,
    "custom_response_body": {"key": TEXT, "content": TEXT, "content_type": Only(("APPLICATION_JSON",))},
    "default_action": {"allow": HARMLESS},
    "rule": {
        "name": TEXT,
        "priority": NUMBER,
        "action": {
            "block": {
                "custom_response": {
                    "custom_response_body_key": TEXT,
                    "response_code": NUMBER,
                    "response_header": {"name": TEXT, "value": TEXT},
                },
            },
        },
        "override_action": HARMLESS,
        "statement": {
            "rate_based_statement": {
                "aggregate_key_type": Only(("IP",)),
                "evaluation_window_sec": Only((60, 120, 300, 600)),
                "limit": NUMBER,
            },
            "regex_match_statement": {
                "field_to_match": {"single_header": {"name": TEXT}},
                "regex_string": TEXT,
                "text_transformation": {"priority": HARMLESS, "type": Only(("NONE",))},
            },
            # AWS alone knows these rules; the start says that they are not here.
            "managed_rule_group_statement": HARMLESS,
        },
        "visibility_config": HARMLESS,
    },
    "visibility_config": HARMLESS,
    "tags": HARMLESS,
    "tags_all": HARMLESS,
}

SUPPORT: Mapping[str, Support] = {
    "aws_kinesis_firehose_delivery_stream": _STREAM,
    "aws_kinesis_stream": _KINESIS_STREAM,
    "aws_api_gateway_rest_api": _API,
    "aws_api_gateway_method_settings": _METHOD_SETTINGS,
    "aws_api_gateway_stage": _STAGE,
    "aws_lambda_function": _FUNCTION,
    "aws_glue_catalog_table": _TABLE,
    "aws_s3_bucket": _BUCKET,
    # The store tells its user at start what a directory cannot enforce.
    "aws_s3_bucket_object_lock_configuration": {
        "bucket": TEXT,
        "expected_bucket_owner": HARMLESS,
        "object_lock_enabled": HARMLESS,
        "rule": {"default_retention": {"mode": TEXT, "days": NUMBER, "years": NUMBER}},
        "token": HARMLESS,
    },
    "aws_athena_named_query": {
        "database": HARMLESS,
        "description": TEXT,
        "name": TEXT,
        "query": TEXT,
        "workgroup": HARMLESS,
    },
    # The start says of each that it is not enforced here (door.py).
    "aws_api_gateway_api_key": HARMLESS,
    "aws_api_gateway_base_path_mapping": HARMLESS,
    "aws_api_gateway_domain_name": HARMLESS,
    "aws_api_gateway_usage_plan": HARMLESS,
    "aws_api_gateway_usage_plan_key": HARMLESS,
    "aws_wafv2_web_acl": _WEB_ACL,
    "aws_wafv2_web_acl_association": HARMLESS,
    "aws_wafv2_web_acl_logging_configuration": HARMLESS,
    "aws_api_gateway_account": HARMLESS,
    "aws_api_gateway_deployment": HARMLESS,
    "aws_athena_workgroup": HARMLESS,
    # What watches the stack on AWS; here `auditlake status` and /metrics show the same figures.
    "aws_cloudwatch_dashboard": HARMLESS,
    "aws_cloudwatch_event_rule": HARMLESS,
    "aws_cloudwatch_event_target": HARMLESS,
    "aws_cloudwatch_metric_alarm": HARMLESS,
    "aws_s3_bucket_metric": HARMLESS,
    "aws_sns_topic": HARMLESS,
    "aws_sns_topic_policy": HARMLESS,
    "aws_sns_topic_subscription": HARMLESS,
    # The files are as well protected as the disk that they lie on.
    "aws_kms_alias": HARMLESS,
    "aws_kms_key": HARMLESS,
    "aws_cloudwatch_log_group": HARMLESS,
    "aws_cloudwatch_log_stream": HARMLESS,
    "aws_glue_catalog_database": HARMLESS,
    # A crawler finds partitions that a directory shows by itself.
    "aws_glue_crawler": HARMLESS,
    "aws_iam_role": HARMLESS,
    "aws_iam_role_policy": HARMLESS,
    "aws_iam_role_policy_attachment": HARMLESS,
    "aws_lambda_permission": HARMLESS,
    # What a stack is, remembered for the next plan.
    "terraform_data": HARMLESS,
    # One machine has one class of storage; that nothing here is ever moved or expired is told at start.
    "aws_s3_bucket_lifecycle_configuration": HARMLESS,
    "aws_s3_bucket_ownership_controls": HARMLESS,
    "aws_s3_bucket_policy": HARMLESS,
    "aws_s3_bucket_public_access_block": HARMLESS,
    # The machine has one copy; that of the directory is yours to make.
    "aws_s3_bucket_replication_configuration": HARMLESS,
    "aws_s3_bucket_server_side_encryption_configuration": HARMLESS,
    # The local bucket keeps every version, and nothing suspends that.
    "aws_s3_bucket_versioning": {
        "bucket": HARMLESS,
        "expected_bucket_owner": HARMLESS,
        "versioning_configuration": {"status": Only(("Enabled",)), "mfa_delete": Only(("Disabled",))},
    },
}
"""What the runtime makes of every resource type that it knows."""


@dataclass(frozen=True)
class Unsupported:
    """What the runtime does not do of one attribute, or of a whole resource, whose `attribute` is empty then."""

    address: str
    attribute: str
    came: object
    says: str


def unsupported(resources: Iterable[PlannedResource]) -> Iterator[Unsupported]:
    """Yield what a plan asks for and the runtime does not do, each with its resource."""
    for resource in resources:
        if resource.type not in SUPPORT:
            says = f"the resource type {resource.type} is not implemented"
            yield Unsupported(resource.address, "", resource.type, says)
        else:
            for attribute, came, says in _complaints(asked(resource.type, resource.values), SUPPORT[resource.type], ""):
                yield Unsupported(resource.address, attribute, came, says)


def check_support(resources: Iterable[PlannedResource]) -> None:
    """Refuse a plan that asks for what the runtime does not do.

    Raises PlanError with one line for each resource and attribute.
    """
    complaints = [f"{found.address}: {found.says}" for found in unsupported(resources)]
    if complaints:
        raise PlanError(
            "The local runtime does not do all that this plan asks for, and does not pretend to:\n  "
            + "\n  ".join(complaints)
            + "\nRun the plan on AWS, or leave these out of the plan that you run here."
        )


def _complaints(value: object, support: Support, path: str) -> Iterator[tuple[str, object, str]]:
    """Yield what in `value` is not supported: attribute, value, sentence; `path` leads down from the resource."""
    switched_off = value is False and isinstance(support, Only) and True in support.values
    if (value in (None, "", [], {}, False) and not switched_off) or support == HARMLESS:
        return
    if isinstance(support, Implemented):
        if not support.takes(value):
            yield path, value, f"{path}{_shown(value)} is not {support.kind}"
    elif isinstance(support, Only):
        if value not in support.values:
            allowed = " or ".join(repr(one) for one in support.values)
            yield path, value, f"{path}{_shown(value)} is not implemented" + (f", only {allowed}" if allowed else "")
    elif isinstance(value, Mapping) and isinstance(support, Mapping):
        for name, member in value.items():
            yield from _complaints(member, support.get(name, UNKNOWN), f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for member in value:
            yield from _complaints(member, support, path)
    else:
        yield path, value, f"{path}{_shown(value)} is no block"


def _shown(value: object) -> str:
    return "" if isinstance(value, list | Mapping) else f" = {value!r}"

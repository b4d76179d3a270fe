mock_provider "aws" {}

variables {
  encryption    = { customer_managed = false, key_arn = null }
  name          = "auditlake"
  account       = { id = "123456789012", region = "us-east-1", partition = "aws" }
  audit_types   = ["login", "payment"]
  event_window  = { days_back = 7, days_ahead = 1 }
  buffering     = { size_mib = 128, interval_s = 60 }
  bucket        = { name = "auditlake-events-123456789012", arn = "arn:aws:s3:::auditlake-events-123456789012", events_prefix = "events/", errors_prefix = "errors/" }
  table         = { database = "audit", name = "events", partition_keys = ["audit_type", "year", "month", "day"] }
  logs          = { retention_days = 90 }
  transform_zip = "versions.tf" # any file that exists
}

run "objects_lie_by_audit_type_and_date" {
  command = plan

  assert {
    condition     = aws_kinesis_firehose_delivery_stream.events.extended_s3_configuration[0].prefix == "events/audit_type=!{partitionKeyFromLambda:audit_type}/year=!{partitionKeyFromLambda:year}/month=!{partitionKeyFromLambda:month}/day=!{partitionKeyFromLambda:day}/"
    error_message = "The prefix should hold the table's partition keys in their order."
  }

  assert {
    condition     = aws_kinesis_firehose_delivery_stream.events.extended_s3_configuration[0].error_output_prefix == "errors/!{firehose:error-output-type}/!{timestamp:yyyy/MM/dd}/"
    error_message = "What failed should lie by kind of error and day."
  }

  assert {
    condition     = aws_kinesis_firehose_delivery_stream.events.extended_s3_configuration[0].dynamic_partitioning_configuration[0].enabled
    error_message = "Dynamic partitioning should be on; it cannot be switched on later."
  }
}

run "records_pass_through_the_transform_with_the_defaults_of_aws" {
  command = plan

  assert {
    condition = [
      for processor in aws_kinesis_firehose_delivery_stream.events.extended_s3_configuration[0].processing_configuration[0].processors :
      { type = processor.type, parameters = { for parameter in processor.parameters : parameter.parameter_name => parameter.parameter_value } }
    ] == [{ type = "Lambda", parameters = { LambdaArn = "arn:aws:lambda:us-east-1:123456789012:function:auditlake-transform:$LATEST" } }]
    error_message = "The only processor should be the transform, without parameters that AWS defaults (they would differ in every plan)."
  }
}

run "rows_become_snappy_parquet_by_the_table" {
  command = plan

  assert {
    condition     = aws_kinesis_firehose_delivery_stream.events.extended_s3_configuration[0].data_format_conversion_configuration[0].output_format_configuration[0].serializer[0].parquet_ser_de[0].compression == "SNAPPY"
    error_message = "Objects should be Parquet with Snappy."
  }

  assert {
    condition     = length(aws_kinesis_firehose_delivery_stream.events.extended_s3_configuration[0].data_format_conversion_configuration[0].input_format_configuration[0].deserializer[0].open_x_json_ser_de) == 1
    error_message = "Rows should be read by the OpenX JSON SerDe."
  }

  assert {
    condition     = aws_kinesis_firehose_delivery_stream.events.extended_s3_configuration[0].data_format_conversion_configuration[0].schema_configuration[0].database_name == "audit" && aws_kinesis_firehose_delivery_stream.events.extended_s3_configuration[0].data_format_conversion_configuration[0].schema_configuration[0].table_name == "events"
    error_message = "The columns should be those of the table."
  }
}

run "the_stream_is_encrypted_with_a_key_of_aws" {
  command = plan

  assert {
    condition     = aws_kinesis_firehose_delivery_stream.events.server_side_encryption[0].enabled && aws_kinesis_firehose_delivery_stream.events.server_side_encryption[0].key_type == "AWS_OWNED_CMK"
    error_message = "The stream should be encrypted without any setting."
  }
}

run "a_key_of_the_customer_encrypts_stream_and_objects" {
  command = plan

  variables {
    encryption = { customer_managed = true, key_arn = "arn:aws:kms:us-east-1:123456789012:key/1234" }
  }

  assert {
    condition     = aws_kinesis_firehose_delivery_stream.events.server_side_encryption[0].key_type == "CUSTOMER_MANAGED_CMK" && aws_kinesis_firehose_delivery_stream.events.server_side_encryption[0].key_arn == var.encryption.key_arn
    error_message = "The stream should use the key."
  }

  assert {
    condition     = aws_kinesis_firehose_delivery_stream.events.extended_s3_configuration[0].kms_key_arn == var.encryption.key_arn
    error_message = "Objects should be written with the key."
  }

  assert {
    condition     = [for statement in jsondecode(aws_iam_role_policy.stream.policy).Statement : statement.Action if statement.Resource == var.encryption.key_arn] == [["kms:GenerateDataKey", "kms:Decrypt"]]
    error_message = "The stream should be allowed to use the key."
  }
}

run "the_stream_logs_what_it_cannot_deliver" {
  command = plan

  assert {
    condition     = aws_kinesis_firehose_delivery_stream.events.extended_s3_configuration[0].cloudwatch_logging_options[0].enabled && aws_kinesis_firehose_delivery_stream.events.extended_s3_configuration[0].cloudwatch_logging_options[0].log_group_name == "/aws/kinesisfirehose/auditlake-events"
    error_message = "Delivery errors should go to CloudWatch Logs."
  }
}

run "only_firehose_of_this_account_may_take_the_role" {
  command = plan

  assert {
    condition = jsondecode(aws_iam_role.stream.assume_role_policy).Statement == [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "firehose.amazonaws.com" }
      Condition = { StringEquals = { "sts:ExternalId" = "123456789012" } }
    }]
    error_message = "The trust policy should name Firehose and the account."
  }
}

run "the_stream_may_write_both_prefixes_and_nothing_else" {
  command = plan

  assert {
    condition = toset([for statement in jsondecode(aws_iam_role_policy.stream.policy).Statement : statement.Resource if contains(flatten([statement.Action]), "s3:PutObject")][0]) == toset([
      "arn:aws:s3:::auditlake-events-123456789012/events/*", "arn:aws:s3:::auditlake-events-123456789012/errors/*",
    ])
    error_message = "The stream should write events and errors, and no other prefix."
  }

  assert {
    condition = !anytrue([
      for action in flatten(jsondecode(aws_iam_role_policy.stream.policy).Statement[*].Action) :
      action == "*" || endswith(action, ":*") || strcontains(action, "Delete") || strcontains(action, "Retention")
    ])
    error_message = "The stream should neither delete nor touch retention."
  }

  assert {
    condition     = !contains(flatten(jsondecode(aws_iam_role_policy.stream.policy).Statement[*].Resource), "*")
    error_message = "Every permission should name its resource."
  }
}

run "the_transform_may_only_log_and_trace" {
  command = plan

  assert {
    condition = toset(flatten(jsondecode(aws_iam_role_policy.transform.policy).Statement[*].Action)) == toset([
      "logs:CreateLogStream", "logs:PutLogEvents", "xray:PutTraceSegments", "xray:PutTelemetryRecords",
    ])
    error_message = "The transform should have no other permission."
  }
}

run "the_transform_gets_its_settings_and_its_time" {
  command = plan

  assert {
    condition = aws_lambda_function.transform.environment[0].variables == tomap({
      AUDIT_TYPES                  = "login,payment"
      EVENT_DAYS_BACK              = "7"
      EVENT_DAYS_AHEAD             = "1"
      POWERTOOLS_SERVICE_NAME      = "transform"
      POWERTOOLS_METRICS_NAMESPACE = "auditlake"
      LOG_LEVEL                    = "INFO"
    })
    error_message = "The transform should find every setting in its environment."
  }

  assert {
    condition     = aws_lambda_function.transform.runtime == "python3.13" && aws_lambda_function.transform.architectures == tolist(["arm64"]) && aws_lambda_function.transform.handler == "lambda_src.transform.handler.handle"
    error_message = "The transform should run as build.py packs it."
  }

  assert {
    condition     = aws_lambda_function.transform.timeout > 3 && aws_lambda_function.transform.tracing_config[0].mode == "Active"
    error_message = "The transform should have more than the 3 s of Lambda's default, and X-Ray."
  }
}

run "every_log_group_forgets" {
  command = plan

  assert {
    condition     = alltrue([for group in [aws_cloudwatch_log_group.transform, aws_cloudwatch_log_group.stream] : group.retention_in_days == 90])
    error_message = "Every log group should have the retention of the variable."
  }
}

run "a_plan_knows_the_stream" {
  command = plan

  assert {
    condition     = output.stream == { name = "auditlake-events", arn = "arn:aws:firehose:us-east-1:123456789012:deliverystream/auditlake-events" }
    error_message = "Name and ARN should be composed, not computed."
  }
}

run "a_data_stream_is_read_and_encrypts_by_itself" {
  command = plan

  variables {
    kinesis_stream = { name = "auditlake-source", arn = "arn:aws:kinesis:us-east-1:123456789012:stream/auditlake-source", retention_hours = 168 }
  }

  assert {
    condition     = aws_kinesis_firehose_delivery_stream.events.kinesis_source_configuration[0].kinesis_stream_arn == "arn:aws:kinesis:us-east-1:123456789012:stream/auditlake-source" && length(aws_kinesis_firehose_delivery_stream.events.server_side_encryption) == 0
    error_message = "The delivery stream should read the data stream and have no encryption of its own."
  }

  assert {
    condition     = [for statement in jsondecode(aws_iam_role_policy.stream.policy).Statement : statement.Action if statement.Resource == "arn:aws:kinesis:us-east-1:123456789012:stream/auditlake-source"] == [["kinesis:DescribeStream", "kinesis:GetShardIterator", "kinesis:GetRecords", "kinesis:ListShards"]]
    error_message = "The role should read the data stream and do nothing else to it."
  }
}

run "a_data_stream_under_a_key_of_the_customer_is_decrypted" {
  command = plan

  variables {
    kinesis_stream = { name = "auditlake-source", arn = "arn:aws:kinesis:us-east-1:123456789012:stream/auditlake-source", retention_hours = 168 }
    encryption     = { customer_managed = true, key_arn = "arn:aws:kms:us-east-1:123456789012:key/1234" }
  }

  assert {
    condition = contains(jsondecode(aws_iam_role_policy.stream.policy).Statement, {
      Action    = "kms:Decrypt", Effect = "Allow", Resource = "arn:aws:kms:us-east-1:123456789012:key/1234"
      Condition = { StringLike = { "kms:ViaService" = "kinesis.us-east-1.amazonaws.com*" } }
    })
    error_message = "The role should decrypt what the data stream holds, through Kinesis only."
  }
}

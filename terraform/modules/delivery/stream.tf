locals {
  stream_name = "${var.name}-events"
  stream_arn  = "arn:${var.account.partition}:firehose:${var.account.region}:${var.account.id}:deliverystream/${local.stream_name}"

  partition_path = join("/", [for key in var.table.partition_keys : "${key}=!{partitionKeyFromLambda:${key}}"])
  # Dates come from the keys, so no !{timestamp:}: that would be the arrival of the oldest record of an object (B7).
  events_prefix = "${var.bucket.events_prefix}${local.partition_path}/"
  errors_prefix = "${var.bucket.errors_prefix}!{firehose:error-output-type}/!{timestamp:yyyy/MM/dd}/"

  # One audit type more, for other; one day more, for the day of receipt itself.
  partitions = (length(var.audit_types) + 1) * (var.event_window.days_back + var.event_window.days_ahead + 1)
}

resource "aws_kinesis_firehose_delivery_stream" "events" {
  #checkov:skip=CKV_AWS_241:AWS's own key by default; encryption.mode customer_managed sets a key

  name        = local.stream_name
  destination = "extended_s3"

  # The data stream before it keeps the records, and encrypts them; Firehose refuses encryption of its own then (A6.9).
  dynamic "server_side_encryption" {
    for_each = var.kinesis_stream == null ? [true] : []

    content {
      enabled  = true
      key_type = var.encryption.customer_managed ? "CUSTOMER_MANAGED_CMK" : "AWS_OWNED_CMK"
      key_arn  = var.encryption.key_arn
    }
  }

  dynamic "kinesis_source_configuration" {
    for_each = var.kinesis_stream == null ? [] : [var.kinesis_stream]

    content {
      kinesis_stream_arn = kinesis_source_configuration.value.arn
      role_arn           = aws_iam_role.stream.arn
    }
  }

  extended_s3_configuration {
    role_arn            = aws_iam_role.stream.arn
    bucket_arn          = var.bucket.arn
    kms_key_arn         = var.encryption.key_arn
    prefix              = local.events_prefix
    error_output_prefix = local.errors_prefix
    buffering_size      = var.buffering.size_mib
    buffering_interval  = var.buffering.interval_s
    # The Parquet SerDe compresses; Firehose refuses a second compression around a converted object (D1).
    compression_format = "UNCOMPRESSED"

    dynamic_partitioning_configuration {
      enabled = true
    }

    s3_backup_mode = var.bucket.raw_prefix == null ? null : "Enabled"

    # Records before the transform. No expressions in its prefix: Firehose adds yyyy/MM/dd/HH/ of arrival.
    dynamic "s3_backup_configuration" {
      for_each = var.bucket.raw_prefix == null ? [] : [var.bucket.raw_prefix]

      content {
        role_arn           = aws_iam_role.stream.arn
        bucket_arn         = var.bucket.arn
        kms_key_arn        = var.encryption.key_arn
        prefix             = s3_backup_configuration.value
        buffering_size     = var.buffering.size_mib
        buffering_interval = var.buffering.interval_s
        compression_format = "GZIP"

        cloudwatch_logging_options {
          enabled         = true
          log_group_name  = aws_cloudwatch_log_group.stream.name
          log_stream_name = aws_cloudwatch_log_stream.stream.name
        }
      }
    }

    processing_configuration {
      enabled = true

      # Buffer (1 MB, 60 s) and retries (3) are AWS's defaults and left out: the provider does not keep defaults in its state,
      # so written down they would differ in every plan (I.9). A larger buffer would not do either: 3 MB of envelopes make
      # more than the 6 MB that a Lambda may answer.
      processors {
        type = "Lambda"

        parameters {
          parameter_name  = "LambdaArn"
          parameter_value = "${local.transform_arn}:$LATEST" # composed, so that a plan knows it
        }
      }
    }

    data_format_conversion_configuration {
      input_format_configuration {
        deserializer {
          open_x_json_ser_de {}
        }
      }

      output_format_configuration {
        serializer {
          parquet_ser_de {
            compression = "SNAPPY"
          }
        }
      }

      schema_configuration {
        role_arn      = aws_iam_role.stream.arn
        database_name = var.table.database
        table_name    = var.table.name
        region        = var.account.region
      }
    }

    cloudwatch_logging_options {
      enabled         = true
      log_group_name  = aws_cloudwatch_log_group.stream.name
      log_stream_name = aws_cloudwatch_log_stream.stream.name
    }
  }

  # Firehose tries the role when the stream is made.
  depends_on = [aws_iam_role_policy.stream, aws_lambda_function.transform]

  lifecycle {
    # A stream that is replaced loses what it holds and is gone for minutes. Its name, its source and dynamic partitioning
    # cannot be changed in place; docs/upgrading.md says how to go about it.
    prevent_destroy = true

    precondition {
      condition     = length(var.table.partition_keys) > 0
      error_message = "table.partition_keys must name at least one key: S3 Prefix should contain Dynamic Partitioning namespaces when Dynamic Partitioning is enabled."
    }

    precondition {
      condition     = length(var.table.partition_keys) <= 50
      error_message = "table.partition_keys must name at most the 50 keys that Dynamic Partitioning takes, not ${length(var.table.partition_keys)}."
    }

    precondition {
      condition     = local.partitions <= 500
      error_message = "audit_types and event_window make ${local.partitions} partitions that can be open at once, and a stream has 500: shorten either, or records go to errors/activePartitionExceeded."
    }

    precondition {
      condition     = max(length(local.events_prefix), length(local.errors_prefix)) <= 1024
      error_message = "The prefixes of the bucket must be shorter: Firehose takes 1,024 characters for Prefix and for ErrorOutputPrefix."
    }

    precondition {
      condition     = !strcontains(local.errors_prefix, "!{partitionKeyFrom")
      error_message = "bucket.errors_prefix must not hold partition keys: ErrorOutputPrefix cannot use them, because a record that failed has none."
    }

    precondition {
      condition     = !strcontains(var.bucket.events_prefix, "!{partitionKeyFromQuery:")
      error_message = "bucket.events_prefix must not hold partitionKeyFromQuery: MetadataExtraction processor should be present when S3 Prefix has partitionKeyFromQuery namespace, and this stream takes its keys from the transform."
    }

    # What is written above and belongs together; these hold it together when somebody changes one half.
    postcondition {
      condition     = self.extended_s3_configuration[0].compression_format == "UNCOMPRESSED"
      error_message = "compression_format must be UNCOMPRESSED when record format conversion is enabled: the Parquet SerDe compresses."
    }

    postcondition {
      condition     = self.extended_s3_configuration[0].processing_configuration[0].enabled
      error_message = "processing_configuration must be enabled: Processing Configuration is not enabled when DataPartitioning is enabled."
    }

    postcondition {
      condition     = [for processor in self.extended_s3_configuration[0].processing_configuration[0].processors : processor.type if processor.type == "Lambda"] == ["Lambda"]
      error_message = "processors must hold exactly one of type Lambda: Lambda should be present when S3 Prefix contains keys from partitionKeyFromLambda namespace, and Firehose cannot have more than 1 Lambda processor."
    }

    postcondition {
      condition     = strcontains(self.extended_s3_configuration[0].prefix, "!{partitionKeyFromLambda:")
      error_message = "prefix must take keys from the transform: S3 Prefix should contain Dynamic Partitioning namespaces when Dynamic Partitioning is enabled."
    }

    postcondition {
      condition     = strcontains(self.extended_s3_configuration[0].error_output_prefix, "!{firehose:error-output-type}")
      error_message = "error_output_prefix must contain !{firehose:error-output-type}: Firehose demands it once the prefix holds expressions."
    }

    postcondition {
      condition = length([
        for parameter in flatten([for processor in self.extended_s3_configuration[0].processing_configuration[0].processors : tolist(processor.parameters)]) :
        parameter if startswith(parameter.parameter_name, "Buffer")
      ]) != 1
      error_message = "BufferSizeInMBs and BufferIntervalInSeconds must be set together or not at all: Firehose refuses a Lambda processor with one of them."
    }
  }
}

locals {
  errors_filter = "errors"
  # An event may wait an interval for its object, and another while that is written.
  freshness_s = var.alarms.freshness_s == null ? max(900, 2 * var.buffering_interval_s) : var.alarms.freshness_s
  of_stream   = { DeliveryStreamName = var.stream.name }
  of_api      = { ApiName = var.api.name, Stage = var.api.stage }

  # What is put to Firehose it tries to deliver for a day; what it reads, as long as the data stream keeps it.
  gives_up = var.kinesis_stream == null ? "at 86400 s Firehose gives up and loses it." : "when the data stream's ${var.kinesis_stream.retention_hours} h are over it is lost: make them longer in time."

  # One sentence each; docs/runbook.md has a section for each key, and says what to do.
  stream_alarms = {
    delivery-freshness = {
      metric  = "DeliveryToS3.DataFreshness", statistic = "Maximum", above = local.freshness_s, periods = 2
      meaning = "The oldest event that is not in S3 yet is older than ${local.freshness_s} s."
    }
    delivery-gives-up = {
      metric  = "DeliveryToS3.DataFreshness", statistic = "Maximum", above = var.alarms.give_up_s, periods = 1
      meaning = "The oldest event that is not in S3 yet is older than ${var.alarms.give_up_s} s, and ${local.gives_up}"
    }
    delivery-success = {
      metric  = "DeliveryToS3.Success", statistic = "Average", below = 1, periods = 1
      meaning = "Firehose could not write to S3 and tries again."
    }
    throttled-records = {
      metric  = "ThrottledRecords", statistic = "Sum", above = 0, periods = 1
      meaning = "The delivery stream refused records because its quota is used up; clients got 503 and must send again."
    }
    transform-success = {
      metric  = "ExecuteProcessing.Success", statistic = "Average", below = 1, periods = 1
      meaning = "Invocations of the transform failed; after three more tries their records go to the error prefix."
    }
    conversion-failures = {
      metric  = "FailedConversion.Records", statistic = "Sum", above = 0, periods = 1
      meaning = "Rows could not be converted to Parquet and went to the error prefix."
    }
    partition-count = {
      metric  = "PartitionCount", statistic = "Maximum", above = var.alarms.partitions, periods = 1
      meaning = "More than ${var.alarms.partitions} of the 500 partitions that can be open at once are open."
    }
    partition-count-exceeded = {
      metric  = "PartitionCountExceeded", statistic = "Maximum", above = 0, periods = 1
      meaning = "All 500 partitions are open, and records for others go to the error prefix."
    }
  }

  # Each destination of the stream has metrics of its own: delivery's say nothing of a source backup that fails.
  backup_alarms = { for key, alarm in {
    backup-freshness = {
      metric  = "BackupToS3.DataFreshness", statistic = "Maximum", above = local.freshness_s, periods = 2
      meaning = "The oldest record that is not in the source backup yet is older than ${local.freshness_s} s."
    }
    backup-success = {
      metric  = "BackupToS3.Success", statistic = "Average", below = 1, periods = 1
      meaning = "Firehose could not write the source backup to S3 and tries again."
    }
  } : key => alarm if var.raw_backup }

  # A data stream that keeps records for retention_hours has lost half of that time when the last of these rings.
  kinesis_alarms = var.kinesis_stream == null ? {} : {
    kinesis-throttled = {
      namespace = "AWS/Kinesis", dimensions = { StreamName = var.kinesis_stream.name }
      metric    = "WriteProvisionedThroughputExceeded", statistic = "Sum", above = 0, periods = 1
      meaning   = "The data stream refused records because its shards are used up; clients got 503 and must send again."
    }
    kinesis-behind = {
      namespace = "AWS/Firehose", dimensions = local.of_stream
      metric    = "KinesisMillisBehindLatest", statistic = "Maximum", above = local.freshness_s * 1000, periods = 2
      meaning   = "Firehose reads the data stream more than ${local.freshness_s} s behind its end."
    }
    kinesis-expiring = {
      namespace = "AWS/Kinesis", dimensions = { StreamName = var.kinesis_stream.name }
      metric    = "GetRecords.IteratorAgeMilliseconds", statistic = "Maximum", above = var.kinesis_stream.retention_hours * 1800000, periods = 1
      meaning   = "The oldest record that was not read is half as old as the data stream lets it become: after ${var.kinesis_stream.retention_hours} h it is lost."
    }
  }

  api_alarms = {
    client-errors = {
      metric  = "4XXError", statistic = "Average", above = var.alarms.client_errors, periods = 3
      meaning = "More than ${var.alarms.client_errors * 100}% of requests are refused: a client sends what is no event, without permission, or too fast."
    }
    server-errors = {
      metric  = "5XXError", statistic = "Average", above = var.alarms.server_errors, periods = 2
      meaning = "More than ${var.alarms.server_errors * 100}% of requests fail on our side; clients must send again."
    }
    latency = {
      metric  = "Latency", statistic = "p99", above = var.alarms.latency_p99_ms, periods = 3
      meaning = "One request in a hundred takes longer than ${var.alarms.latency_p99_ms} ms."
    }
  }

  watched_functions = merge(var.functions, { for part in ["authorizer"] : part => var.authorizer if var.authorizer != null })
  function_alarms = merge([for part, function in local.watched_functions : {
    "${part}-errors" = {
      of      = function, metric = "Errors", statistic = "Sum", above = 0, periods = 1
      meaning = "The ${part} function ended with an error."
    }
    "${part}-throttles" = {
      of      = function, metric = "Throttles", statistic = "Sum", above = 0, periods = 1
      meaning = "Lambda refused to run the ${part} function: the account's concurrency is used up."
    }
    "${part}-duration" = {
      of      = function, metric = "Duration", statistic = "Maximum", above = function.timeout_s * 1000 * var.alarms.timeout_portion, periods = 1
      meaning = "The ${part} function took more than ${var.alarms.timeout_portion * 100}% of its timeout of ${function.timeout_s} s."
    }
  }]...)

  # A refused token is an error of the authorizer, for 401 has no other way: its errors tell nothing, its own metric does.
  authorizer_alarms = { for key in ["authorizer-keys"] : key => {
    namespace = var.name, dimensions = { service = "authorizer" }
    metric    = "IssuerKeysUnavailable", statistic = "Sum", above = 0, periods = 1
    meaning   = "The authorizer cannot fetch the keys of the issuer of tokens, and goes by old ones or lets nobody in."
  } if var.authorizer != null }

  alarms = merge(
    { for key, alarm in merge(local.stream_alarms, local.backup_alarms) : key => merge(alarm, { namespace = "AWS/Firehose", dimensions = local.of_stream }) },
    { for key, alarm in local.api_alarms : key => merge(alarm, { namespace = "AWS/ApiGateway", dimensions = local.of_api }) },
    { for key, alarm in local.function_alarms : key => merge(alarm, { namespace = "AWS/Lambda", dimensions = { FunctionName = alarm.of.name } }) if key != "authorizer-errors" },
    local.authorizer_alarms,
    local.kinesis_alarms,
    {
      error-prefix = {
        namespace = "AWS/S3", dimensions = { BucketName = var.bucket.name, FilterId = local.errors_filter }
        metric    = "PutRequests", statistic = "Sum", above = 0, periods = 1
        meaning   = "Something new lies under the error prefix: events that were accepted and are not in the table."
      }
    },
  )
}

# The only metric that sees every failure, whatever its kind: Firehose's own count what they know, its logs are sampled (I2).
resource "aws_s3_bucket_metric" "errors" {
  count = var.alarms.enabled ? 1 : 0

  bucket = var.bucket.name
  name   = local.errors_filter

  filter {
    prefix = var.bucket.errors_prefix
  }
}

resource "aws_cloudwatch_metric_alarm" "alarms" {
  for_each = { for key, alarm in local.alarms : key => alarm if var.alarms.enabled }

  alarm_name        = "${var.name}-${each.key}"
  alarm_description = "${each.value.meaning} ${var.alarms.runbook_url}#${each.key}"
  namespace         = each.value.namespace
  metric_name       = each.value.metric
  dimensions        = each.value.dimensions

  statistic           = startswith(each.value.statistic, "p") ? null : each.value.statistic
  extended_statistic  = startswith(each.value.statistic, "p") ? each.value.statistic : null
  comparison_operator = can(each.value.below) ? "LessThanThreshold" : "GreaterThanThreshold"
  threshold           = try(each.value.below, each.value.above)
  period              = 300 # seconds
  evaluation_periods  = each.value.periods
  treat_missing_data  = "notBreaching" # where nothing is sent, there is nothing to measure; the canary watches for silence

  alarm_actions = [local.topic_arn]
  ok_actions    = [local.topic_arn]
}

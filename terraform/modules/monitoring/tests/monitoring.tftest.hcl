mock_provider "aws" {}

variables {
  name                 = "auditlake"
  account              = { id = "123456789012", region = "us-east-1", partition = "aws" }
  api                  = { name = "auditlake", stage = "v1" }
  buffering_interval_s = 60
  bucket               = { name = "auditlake-events-123456789012", errors_prefix = "errors/" }
  encryption           = { customer_managed = false, key_arn = null }
  functions = {
    receiver  = { name = "auditlake-receiver", timeout_s = 29 }
    transform = { name = "auditlake-transform", timeout_s = 120 }
  }
  stream    = { name = "auditlake-events" }
  workgroup = "auditlake"
  alarms = {
    enabled    = true, topic_arn = null, email = null, runbook_url = "docs/runbook.md", freshness_s = 900, give_up_s = 21600
    partitions = 400, client_errors = 0.05, server_errors = 0.01, latency_p99_ms = 3000, timeout_portion = 0.8
  }
}

run "every_stage_is_watched" {
  command = plan

  assert {
    condition = { for key, alarm in aws_cloudwatch_metric_alarm.alarms : key => "${alarm.namespace} ${alarm.metric_name} ${alarm.comparison_operator} ${alarm.threshold}" } == {
      client-errors            = "AWS/ApiGateway 4XXError GreaterThanThreshold 0.05"
      conversion-failures      = "AWS/Firehose FailedConversion.Records GreaterThanThreshold 0"
      delivery-freshness       = "AWS/Firehose DeliveryToS3.DataFreshness GreaterThanThreshold 900"
      delivery-gives-up        = "AWS/Firehose DeliveryToS3.DataFreshness GreaterThanThreshold 21600"
      delivery-success         = "AWS/Firehose DeliveryToS3.Success LessThanThreshold 1"
      error-prefix             = "AWS/S3 PutRequests GreaterThanThreshold 0"
      latency                  = "AWS/ApiGateway Latency GreaterThanThreshold 3000"
      partition-count          = "AWS/Firehose PartitionCount GreaterThanThreshold 400"
      partition-count-exceeded = "AWS/Firehose PartitionCountExceeded GreaterThanThreshold 0"
      receiver-duration        = "AWS/Lambda Duration GreaterThanThreshold 23200"
      receiver-errors          = "AWS/Lambda Errors GreaterThanThreshold 0"
      receiver-throttles       = "AWS/Lambda Throttles GreaterThanThreshold 0"
      server-errors            = "AWS/ApiGateway 5XXError GreaterThanThreshold 0.01"
      throttled-records        = "AWS/Firehose ThrottledRecords GreaterThanThreshold 0"
      transform-duration       = "AWS/Lambda Duration GreaterThanThreshold 96000"
      transform-errors         = "AWS/Lambda Errors GreaterThanThreshold 0"
      transform-success        = "AWS/Firehose ExecuteProcessing.Success LessThanThreshold 1"
      transform-throttles      = "AWS/Lambda Throttles GreaterThanThreshold 0"
    }
    error_message = "Each thing that can lose or delay an event should have its alarm."
  }

  assert {
    condition     = alltrue([for key, alarm in aws_cloudwatch_metric_alarm.alarms : endswith(alarm.alarm_description, ". docs/runbook.md#${key}")])
    error_message = "Each description should be a sentence and the section of the runbook."
  }

  assert {
    condition = jsonencode({ for key, alarm in aws_cloudwatch_metric_alarm.alarms : key => alarm.dimensions if contains(["client-errors", "error-prefix", "delivery-success", "receiver-errors"], key) }) == jsonencode({
      client-errors    = { ApiName = "auditlake", Stage = "v1" }
      delivery-success = { DeliveryStreamName = "auditlake-events" }
      error-prefix     = { BucketName = "auditlake-events-123456789012", FilterId = "errors" }
      receiver-errors  = { FunctionName = "auditlake-receiver" }
    })
    error_message = "Alarms should watch this stack; with a wrong dimension they stay silent for ever."
  }
}

run "the_error_prefix_has_a_metric" {
  command = plan

  assert {
    condition     = aws_s3_bucket_metric.errors[0].bucket == "auditlake-events-123456789012" && aws_s3_bucket_metric.errors[0].name == "errors" && aws_s3_bucket_metric.errors[0].filter[0].prefix == "errors/"
    error_message = "S3 should count what comes under the error prefix."
  }
}

run "latency_is_a_percentile" {
  command = plan

  assert {
    condition     = aws_cloudwatch_metric_alarm.alarms["latency"].extended_statistic == "p99" && aws_cloudwatch_metric_alarm.alarms["latency"].statistic == null
    error_message = "An average would hide the slow ones."
  }
}

run "a_topic_is_made_that_cloudwatch_of_this_account_publishes_to" {
  command = plan

  assert {
    condition     = alltrue([for alarm in aws_cloudwatch_metric_alarm.alarms : alarm.alarm_actions == toset(["arn:aws:sns:us-east-1:123456789012:auditlake-alarms"]) && alarm.ok_actions == alarm.alarm_actions])
    error_message = "Alarms should go to the topic, and so should their end."
  }

  assert {
    condition = [for statement in jsondecode(aws_sns_topic_policy.alarms[0].policy).Statement : statement.Condition.StringEquals["aws:SourceAccount"]
    if statement.Effect == "Allow" && statement.Principal == { Service = "cloudwatch.amazonaws.com" }] == ["123456789012"]
    error_message = "Only alarms of this account should publish."
  }

  assert {
    condition     = length(aws_sns_topic_subscription.email) == 0
    error_message = "Without an address nobody should be subscribed."
  }
}

run "a_given_topic_is_used" {
  command = plan

  variables {
    alarms = {
      enabled    = true, topic_arn = "arn:aws:sns:us-east-1:123456789012:pager", email = null, runbook_url = "https://wiki/runbook", freshness_s = 900, give_up_s = 21600
      partitions = 400, client_errors = 0.05, server_errors = 0.01, latency_p99_ms = 3000, timeout_portion = 0.8
    }
  }

  assert {
    condition     = length(aws_sns_topic.alarms) == 0 && alltrue([for alarm in aws_cloudwatch_metric_alarm.alarms : alarm.alarm_actions == toset(["arn:aws:sns:us-east-1:123456789012:pager"])])
    error_message = "Alarms should go to the given topic, and none be made."
  }

  assert {
    condition     = endswith(aws_cloudwatch_metric_alarm.alarms["latency"].alarm_description, " https://wiki/runbook#latency")
    error_message = "The runbook should be found where its users keep it."
  }
}

run "an_address_is_subscribed_and_the_key_encrypts" {
  command = plan

  variables {
    encryption = { customer_managed = true, key_arn = "arn:aws:kms:us-east-1:123456789012:key/1234" }
    alarms = {
      enabled    = true, topic_arn = null, email = "ops@example.com", runbook_url = "docs/runbook.md", freshness_s = 900, give_up_s = 21600
      partitions = 400, client_errors = 0.05, server_errors = 0.01, latency_p99_ms = 3000, timeout_portion = 0.8
    }
  }

  assert {
    condition     = aws_sns_topic_subscription.email[0].endpoint == "ops@example.com" && aws_sns_topic.alarms[0].kms_master_key_id == "arn:aws:kms:us-east-1:123456789012:key/1234"
    error_message = "The address should be subscribed to a topic under the key."
  }
}

run "the_dashboard_shows_the_eight_stages_from_left_to_right" {
  command = plan

  assert {
    condition = [for widget in jsondecode(aws_cloudwatch_dashboard.path[0].dashboard_body).widgets : "${split(":", widget.properties.title)[0]} ${widget.x} ${widget.y}"] == [
      "post 0 0", "validate 6 0", "deliver 12 0", "transform 18 0", "partition 0 6", "convert 6 6", "store 12 6", "query 18 6",
    ]
    error_message = "The dashboard should read as the path does."
  }
}

run "alarms_can_be_left_to_others" {
  command = plan

  variables {
    alarms = {
      enabled    = false, topic_arn = null, email = null, runbook_url = "docs/runbook.md", freshness_s = 900, give_up_s = 21600
      partitions = 400, client_errors = 0.05, server_errors = 0.01, latency_p99_ms = 3000, timeout_portion = 0.8
    }
  }

  assert {
    condition     = length(aws_cloudwatch_metric_alarm.alarms) + length(aws_sns_topic.alarms) + length(aws_cloudwatch_dashboard.path) + length(aws_s3_bucket_metric.errors) == 0 && output.topic_arn == null
    error_message = "Switched off, nothing should be made and paid."
  }
}

run "freshness_follows_the_buffer" {
  command = plan

  variables {
    buffering_interval_s = 900
    alarms = {
      enabled    = true, topic_arn = null, email = null, runbook_url = "docs/runbook.md", freshness_s = null, give_up_s = 21600
      partitions = 400, client_errors = 0.05, server_errors = 0.01, latency_p99_ms = 3000, timeout_portion = 0.8
    }
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.alarms["delivery-freshness"].threshold == 1800
    error_message = "The alarm should leave an event the time of two intervals."
  }
}

run "no_authorizer_is_watched_where_there_is_none" {
  command = plan

  assert {
    condition     = length([for key in keys(aws_cloudwatch_metric_alarm.alarms) : key if startswith(key, "authorizer-")]) == 0
    error_message = "Only a stack with auth jwt should have alarms of the authorizer."
  }
}

run "an_authorizer_is_watched" {
  command = plan

  variables {
    authorizer = { name = "auditlake-authorizer", timeout_s = 10 }
  }

  assert {
    condition = { for key, alarm in aws_cloudwatch_metric_alarm.alarms : key => "${alarm.namespace} ${alarm.metric_name} ${alarm.comparison_operator} ${alarm.threshold}" if startswith(key, "authorizer-") } == {
      authorizer-duration  = "AWS/Lambda Duration GreaterThanThreshold 8000"
      authorizer-keys      = "auditlake IssuerKeysUnavailable GreaterThanThreshold 0"
      authorizer-throttles = "AWS/Lambda Throttles GreaterThanThreshold 0"
    }
    error_message = "What keeps the authorizer from judging tokens should ring."
  }

  assert {
    condition     = length([for alarm in aws_cloudwatch_metric_alarm.alarms : alarm if alarm.metric_name == "Errors" && alarm.dimensions == tomap({ FunctionName = "auditlake-authorizer" })]) == 0
    error_message = "A refused token is an error of the authorizer, and should wake nobody."
  }

  assert {
    condition = jsonencode({ for key, alarm in aws_cloudwatch_metric_alarm.alarms : key => alarm.dimensions if startswith(key, "authorizer-") }) == jsonencode({
      authorizer-duration  = { FunctionName = "auditlake-authorizer" }
      authorizer-keys      = { service = "authorizer" }
      authorizer-throttles = { FunctionName = "auditlake-authorizer" }
    })
    error_message = "Alarms of the authorizer should watch this stack's; with a wrong dimension they stay silent for ever."
  }

  assert {
    condition     = alltrue([for key, alarm in aws_cloudwatch_metric_alarm.alarms : endswith(alarm.alarm_description, ". docs/runbook.md#${key}")])
    error_message = "The authorizer's descriptions should be a sentence and the section of the runbook."
  }

  assert {
    condition     = contains(keys(aws_cloudwatch_metric_alarm.alarms), "receiver-errors") && contains(keys(aws_cloudwatch_metric_alarm.alarms), "transform-errors")
    error_message = "Errors of the other functions should ring as before."
  }
}

run "a_data_stream_is_watched" {
  command = plan

  variables {
    kinesis_stream = { name = "auditlake-source", arn = "arn:aws:kinesis:us-east-1:123456789012:stream/auditlake-source", retention_hours = 168 }
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.alarms["kinesis-throttled"].dimensions == tomap({ StreamName = "auditlake-source" }) && aws_cloudwatch_metric_alarm.alarms["kinesis-behind"].metric_name == "KinesisMillisBehindLatest"
    error_message = "Who is refused and how far Firehose is behind should ring."
  }

  assert {
    condition     = strcontains(aws_cloudwatch_metric_alarm.alarms["delivery-gives-up"].alarm_description, "when the data stream's 168 h are over it is lost: make them longer in time.")
    error_message = "What a data stream keeps can be kept longer, and the alarm should say so."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.alarms["kinesis-expiring"].threshold == 302400000
    error_message = "At half of the week that records are kept the alarm should ring."
  }
}

run "no_source_backup_is_watched_where_there_is_none" {
  command = plan

  assert {
    condition     = length([for key, alarm in aws_cloudwatch_metric_alarm.alarms : key if startswith(key, "backup-") || startswith(alarm.metric_name, "BackupToS3.")]) == 0
    error_message = "Only a stack with a source backup should have alarms of it."
  }
}

run "a_source_backup_is_watched" {
  command = plan

  variables {
    raw_backup = true
  }

  assert {
    condition = { for key, alarm in aws_cloudwatch_metric_alarm.alarms : key => "${alarm.namespace} ${alarm.metric_name} ${alarm.statistic} ${alarm.comparison_operator} ${alarm.threshold}, ${alarm.evaluation_periods}" if startswith(key, "backup-") } == {
      backup-freshness = "AWS/Firehose BackupToS3.DataFreshness Maximum GreaterThanThreshold 900, 2"
      backup-success   = "AWS/Firehose BackupToS3.Success Average LessThanThreshold 1, 1"
    }
    error_message = "A source backup that fails or lags should ring."
  }

  assert {
    condition     = alltrue([for key in ["backup-freshness", "backup-success"] : aws_cloudwatch_metric_alarm.alarms[key].dimensions == tomap({ DeliveryStreamName = "auditlake-events" })])
    error_message = "Alarms of the source backup should watch this stack's; with a wrong dimension they stay silent for ever."
  }

  assert {
    condition     = alltrue([for key in ["backup-freshness", "backup-success"] : aws_cloudwatch_metric_alarm.alarms[key].treat_missing_data == "notBreaching" && endswith(aws_cloudwatch_metric_alarm.alarms[key].alarm_description, ". docs/runbook.md#${key}")])
    error_message = "The source backup's alarms should be silent where nothing is sent, and name their section of the runbook."
  }

  assert {
    condition     = alltrue([for key in ["delivery-freshness", "delivery-gives-up", "delivery-success"] : startswith(aws_cloudwatch_metric_alarm.alarms[key].metric_name, "DeliveryToS3.")])
    error_message = "With a source backup delivery should be watched as before."
  }
}

run "freshness_of_a_source_backup_follows_the_buffer" {
  command = plan

  variables {
    raw_backup           = true
    buffering_interval_s = 900
    alarms = {
      enabled    = true, topic_arn = null, email = null, runbook_url = "docs/runbook.md", freshness_s = null, give_up_s = 21600
      partitions = 400, client_errors = 0.05, server_errors = 0.01, latency_p99_ms = 3000, timeout_portion = 0.8
    }
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.alarms["backup-freshness"].threshold == 1800
    error_message = "The alarm of the source backup should leave a record the time of two intervals."
  }
}

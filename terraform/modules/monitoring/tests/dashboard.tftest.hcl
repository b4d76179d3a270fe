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

run "by_default_the_dashboard_shows_what_is_put_to_firehose" {
  command = plan

  assert {
    condition = [for line in jsondecode(aws_cloudwatch_dashboard.path[0].dashboard_body).widgets[2].properties.metrics : line[1]] == [
      "IncomingRecords", "ThrottledRecords", "IncomingBytes", "BytesPerSecondLimit",
    ]
    error_message = "Deliver should show what is put to the delivery stream, and its quota."
  }

  assert {
    condition     = !strcontains(aws_cloudwatch_dashboard.path[0].dashboard_body, "Kinesis") && !strcontains(aws_cloudwatch_dashboard.path[0].dashboard_body, "data stream")
    error_message = "A stack without a data stream should show nothing of one."
  }

  assert {
    condition     = !strcontains(lower(aws_cloudwatch_dashboard.path[0].dashboard_body), "authorizer")
    error_message = "A stack without an authorizer should show nothing of one."
  }

  assert {
    condition     = !strcontains(lower(aws_cloudwatch_dashboard.path[0].dashboard_body), "backup")
    error_message = "A stack without a source backup should show nothing of one."
  }
}

run "the_dashboard_shows_a_data_stream" {
  command = plan

  variables {
    kinesis_stream = { name = "auditlake-source", arn = "arn:aws:kinesis:us-east-1:123456789012:stream/auditlake-source", retention_hours = 168 }
  }

  assert {
    condition = jsonencode(jsondecode(aws_cloudwatch_dashboard.path[0].dashboard_body).widgets[2].properties.metrics) == jsonencode([
      ["AWS/Kinesis", "IncomingRecords", "StreamName", "auditlake-source", { stat = "Sum" }],
      [".", "WriteProvisionedThroughputExceeded", ".", ".", { stat = "Sum" }],
      [".", "GetRecords.IteratorAgeMilliseconds", ".", ".", { stat = "Maximum", yAxis = "right" }],
      ["AWS/Firehose", "DataReadFromKinesisStream.Records", "DeliveryStreamName", "auditlake-events", { stat = "Sum" }],
      [".", "KinesisMillisBehindLatest", ".", ".", { stat = "Maximum", yAxis = "right" }],
    ])
    error_message = "Deliver should show what comes into the data stream, and how far behind it is read."
  }

  assert {
    condition     = !strcontains(aws_cloudwatch_dashboard.path[0].dashboard_body, "ThrottledRecords")
    error_message = "What nobody can put to Firehose should not be shown as none."
  }

  assert {
    condition = [for widget in jsondecode(aws_cloudwatch_dashboard.path[0].dashboard_body).widgets : split(":", widget.properties.title)[0]] == [
      "post", "validate", "deliver", "transform", "partition", "convert", "store", "query",
    ]
    error_message = "With a data stream the dashboard should still read as the path does."
  }
}

run "the_dashboard_shows_an_authorizer" {
  command = plan

  variables {
    authorizer = { name = "auditlake-authorizer", timeout_s = 10 }
  }

  assert {
    condition = jsonencode(slice(jsondecode(aws_cloudwatch_dashboard.path[0].dashboard_body).widgets[0].properties.metrics, 3, 6)) == jsonencode([
      ["auditlake", "IssuerKeysUnavailable", "service", "authorizer", { stat = "Sum" }],
      ["AWS/Lambda", "Throttles", "FunctionName", "auditlake-authorizer", { stat = "Sum" }],
      [".", "Duration", ".", ".", { stat = "Maximum", yAxis = "right" }],
    ])
    error_message = "Post should show what keeps tokens from being judged."
  }

  assert {
    condition     = length(jsondecode(aws_cloudwatch_dashboard.path[0].dashboard_body).widgets[0].properties.metrics) == 6
    error_message = "Errors of the authorizer, refused tokens among them, should not be shown as its own."
  }

  assert {
    condition = [for widget in jsondecode(aws_cloudwatch_dashboard.path[0].dashboard_body).widgets : split(":", widget.properties.title)[0]] == [
      "post", "validate", "deliver", "transform", "partition", "convert", "store", "query",
    ]
    error_message = "With an authorizer the dashboard should still read as the path does."
  }
}

run "the_dashboard_shows_a_source_backup" {
  command = plan

  variables {
    raw_backup = true
  }

  assert {
    condition = jsonencode(jsondecode(aws_cloudwatch_dashboard.path[0].dashboard_body).widgets[6].properties.metrics) == jsonencode([
      ["AWS/Firehose", "DeliveryToS3.DataFreshness", "DeliveryStreamName", "auditlake-events", { stat = "Maximum" }],
      [".", "DeliveryToS3.ObjectCount", ".", ".", { stat = "Sum" }],
      ["AWS/S3", "PutRequests", "BucketName", "auditlake-events-123456789012", "FilterId", "errors", { stat = "Sum" }],
      ["AWS/Firehose", "BackupToS3.DataFreshness", "DeliveryStreamName", "auditlake-events", { stat = "Maximum" }],
    ])
    error_message = "Store should show how old the oldest record is that is not in the source backup."
  }
}

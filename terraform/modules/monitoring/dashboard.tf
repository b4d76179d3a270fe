locals {
  region = var.account.region

  # Milliseconds have the right axis where counts have the left one.
  ms = { stat = "Maximum", yAxis = "right" }
  # In post, for there tokens are judged. Its errors are refused tokens too: post's 4xx show these.
  of_authorizer = concat([], [for function in var.authorizer[*] : [
    [var.name, "IssuerKeysUnavailable", "service", "authorizer", { stat = "Sum" }],
    ["AWS/Lambda", "Throttles", "FunctionName", function.name, { stat = "Sum" }],
    [".", "Duration", ".", ".", local.ms],
  ]]...)
  # Firehose counts what is put to it, or what it reads of a data stream; of the other it has no value.
  of_puts = [for line in [
    ["AWS/Firehose", "IncomingRecords", "DeliveryStreamName", var.stream.name, { stat = "Sum" }],
    [".", "ThrottledRecords", ".", ".", { stat = "Sum" }],
    [".", "IncomingBytes", ".", ".", { stat = "Sum" }],
    [".", "BytesPerSecondLimit", ".", ".", { stat = "Minimum" }],
  ] : line if var.kinesis_stream == null]
  of_source = concat([], [for source in var.kinesis_stream[*] : [
    ["AWS/Kinesis", "IncomingRecords", "StreamName", source.name, { stat = "Sum" }],
    [".", "WriteProvisionedThroughputExceeded", ".", ".", { stat = "Sum" }],
    [".", "GetRecords.IteratorAgeMilliseconds", ".", ".", local.ms],
    ["AWS/Firehose", "DataReadFromKinesisStream.Records", "DeliveryStreamName", var.stream.name, { stat = "Sum" }],
    [".", "KinesisMillisBehindLatest", ".", ".", local.ms],
  ]]...)

  # Only a stack with a source backup has a value of it.
  of_backup = [for line in [
    ["AWS/Firehose", "BackupToS3.DataFreshness", "DeliveryStreamName", var.stream.name, { stat = "Maximum" }],
  ] : line if var.raw_backup]

  # The eight stages in the order of the path: two rows of four, read from left to right.
  stages = [
    { title = "post: requests, 4xx, 5xx${var.authorizer == null ? "" : ", authorizer"}", metrics = concat([
      ["AWS/ApiGateway", "Count", "ApiName", var.api.name, "Stage", var.api.stage, { stat = "Sum" }],
      [".", "4XXError", ".", ".", ".", ".", { stat = "Sum" }],
      [".", "5XXError", ".", ".", ".", ".", { stat = "Sum" }],
    ], local.of_authorizer) },
    { title = "validate: latency p50, p99 (ms), receiver", metrics = [
      ["AWS/ApiGateway", "Latency", "ApiName", var.api.name, "Stage", var.api.stage, { stat = "p50" }],
      ["...", { stat = "p99" }],
      ["AWS/Lambda", "Duration", "FunctionName", var.functions.receiver.name, { stat = "p99" }],
      [".", "Errors", ".", ".", { stat = "Sum" }],
    ] },
    {
      title   = var.kinesis_stream == null ? "deliver: records in, throttled" : "deliver: data stream in, throttled, read, behind (ms)"
      metrics = concat(local.of_puts, local.of_source)
    },
    { title = "transform: success, duration (ms)", metrics = [
      ["AWS/Firehose", "ExecuteProcessing.Success", "DeliveryStreamName", var.stream.name, { stat = "Average" }],
      [".", "SucceedProcessing.Records", ".", ".", { stat = "Sum" }],
      ["AWS/Lambda", "Duration", "FunctionName", var.functions.transform.name, { stat = "Maximum" }],
    ] },
    { title = "partition: open partitions of 500", metrics = [
      ["AWS/Firehose", "PartitionCount", "DeliveryStreamName", var.stream.name, { stat = "Maximum" }],
      [".", "PartitionCountExceeded", ".", ".", { stat = "Maximum" }],
    ] },
    { title = "convert: rows, failed", metrics = [
      ["AWS/Firehose", "SucceedConversion.Records", "DeliveryStreamName", var.stream.name, { stat = "Sum" }],
      [".", "FailedConversion.Records", ".", ".", { stat = "Sum" }],
    ] },
    { title = "store: age (s), objects, errors${var.raw_backup ? ", age of the backup (s)" : ""}", metrics = concat([
      ["AWS/Firehose", "DeliveryToS3.DataFreshness", "DeliveryStreamName", var.stream.name, { stat = "Maximum" }],
      [".", "DeliveryToS3.ObjectCount", ".", ".", { stat = "Sum" }],
      ["AWS/S3", "PutRequests", "BucketName", var.bucket.name, "FilterId", local.errors_filter, { stat = "Sum" }],
    ], local.of_backup) },
    { title = "query: bytes read", metrics = [
      [{ expression = "SUM(SEARCH('{AWS/Athena,QueryState,QueryType,WorkGroup} WorkGroup=\"${var.workgroup}\" MetricName=\"ProcessedBytes\"', 'Sum', 300))", label = "ProcessedBytes" }],
    ] },
  ]
}

resource "aws_cloudwatch_dashboard" "path" {
  count = var.alarms.enabled ? 1 : 0

  dashboard_name = var.name
  dashboard_body = jsonencode({
    widgets = [
      for place, stage in local.stages : {
        type   = "metric"
        x      = place % 4 * 6
        y      = floor(place / 4) * 6
        width  = 6
        height = 6
        properties = {
          title   = stage.title
          metrics = stage.metrics
          region  = local.region
          period  = 300
          view    = "timeSeries"
        }
      }
    ]
  })
}

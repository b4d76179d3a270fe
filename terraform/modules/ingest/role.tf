locals {
  # A delivery stream that reads a data stream refuses what is put to itself (A3).
  put_service = var.kinesis_stream == null ? "firehose" : "kinesis"
  put_arn     = var.kinesis_stream == null ? var.stream.arn : var.kinesis_stream.arn

  api_role_arn = "arn:${var.account.partition}:iam::${var.account.id}:role/${var.name}-api"

  # A stream with a customer managed key takes records only from who may use the key (A5).
  use_stream_key = !var.encryption.customer_managed ? [] : [{
    Effect    = "Allow"
    Action    = "kms:GenerateDataKey"
    Resource  = var.encryption.key_arn
    Condition = { StringLike = { "kms:ViaService" = "${local.put_service}.${var.account.region}.amazonaws.com*" } } # China adds .cn
  }]
}

resource "aws_iam_role" "api" {
  count = var.ingest.mode == "direct" ? 1 : 0

  name        = "${var.name}-api"
  description = "API Gateway puts events into the delivery stream."

  # No aws:SourceArn: API Gateway does not send it reliably when it assumes a role, and a wrong condition stops ingest.
  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "apigateway.amazonaws.com" } }]
  })
}

resource "aws_iam_role_policy" "api" {
  count = var.ingest.mode == "direct" ? 1 : 0

  name = "put-record"
  role = aws_iam_role.api[0].name
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = concat([{ Effect = "Allow", Action = "${local.put_service}:PutRecord", Resource = local.put_arn }], local.use_stream_key)
  })
}

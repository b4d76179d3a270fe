locals {
  glue = "arn:${var.account.partition}:glue:${var.account.region}:${var.account.id}"

  use_bucket_key = !var.encryption.customer_managed ? [] : [{
    Effect    = "Allow"
    Action    = ["kms:GenerateDataKey", "kms:Decrypt"]
    Resource  = var.encryption.key_arn
    Condition = { StringLike = { "kms:ViaService" = "s3.${var.account.region}.amazonaws.com*" } } # China adds .cn
  }]

  # for, because the two sides of a condition would have to be of one type.
  read_source = concat(
    [for source in var.kinesis_stream == null ? [] : [var.kinesis_stream] : {
      Effect   = "Allow"
      Action   = ["kinesis:DescribeStream", "kinesis:GetShardIterator", "kinesis:GetRecords", "kinesis:ListShards"]
      Resource = source.arn
    }],
    [for key_arn in var.kinesis_stream != null && var.encryption.customer_managed ? [var.encryption.key_arn] : [] : {
      Effect    = "Allow"
      Action    = "kms:Decrypt"
      Resource  = key_arn
      Condition = { StringLike = { "kms:ViaService" = "kinesis.${var.account.region}.amazonaws.com*" } } # China adds .cn
    }],
  )
}

resource "aws_iam_role" "stream" {
  name        = local.stream_name
  description = "Firehose invokes the transform, reads the table and writes to the bucket."

  # The external id is AWS's documented guard against being used by a stream of another account.
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "firehose.amazonaws.com" }
      Condition = { StringEquals = { "sts:ExternalId" = var.account.id } }
    }]
  })
}

resource "aws_iam_role_policy" "stream" {
  name = "deliver"
  role = aws_iam_role.stream.name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat([
      {
        Effect   = "Allow"
        Action   = ["lambda:InvokeFunction", "lambda:GetFunctionConfiguration"]
        Resource = [local.transform_arn, "${local.transform_arn}:$LATEST"]
      },
      {
        Effect = "Allow"
        Action = ["glue:GetTable", "glue:GetTableVersion", "glue:GetTableVersions"]
        Resource = [
          "${local.glue}:catalog",
          "${local.glue}:database/${var.table.database}",
          "${local.glue}:table/${var.table.database}/${var.table.name}",
        ]
      },
      {
        Effect   = "Allow"
        Action   = ["s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"]
        Resource = var.bucket.arn
      },
      # Every prefix: a stream that cannot write what failed stops delivering everything (D7).
      {
        Effect   = "Allow"
        Action   = ["s3:PutObject", "s3:GetObject", "s3:AbortMultipartUpload"]
        Resource = [for prefix in compact([var.bucket.events_prefix, var.bucket.errors_prefix, var.bucket.raw_prefix]) : "${var.bucket.arn}/${prefix}*"]
      },
      {
        Effect   = "Allow"
        Action   = "logs:PutLogEvents"
        Resource = "arn:${var.account.partition}:logs:${var.account.region}:${var.account.id}:log-group:/aws/kinesisfirehose/${local.stream_name}:log-stream:*"
      },
    ], local.use_bucket_key, local.read_source)
  })
}

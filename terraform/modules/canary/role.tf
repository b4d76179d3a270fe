locals {
  glue = "arn:${var.account.partition}:glue:${var.account.region}:${var.account.id}"
}

resource "aws_iam_role" "canary" {
  name        = local.canary_name
  description = "The canary posts events, queries them and logs."
  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "lambda.amazonaws.com" } }]
  })
}

# Apart from the rest, because no plan knows the id that AWS gives the API: the other statements stay readable in a plan.
resource "aws_iam_role_policy" "post" {
  name = "post"
  role = aws_iam_role.canary.name
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "execute-api:Invoke", Resource = "${var.api.execution_arn}/${var.api.stage}/POST/events" }]
  })
}

resource "aws_iam_role_policy" "query" {
  name = "query"
  role = aws_iam_role.canary.name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat([
      {
        Effect   = "Allow"
        Action   = ["athena:StartQueryExecution", "athena:GetQueryExecution", "athena:GetQueryResults"]
        Resource = "arn:${var.account.partition}:athena:${var.account.region}:${var.account.id}:workgroup/${var.table.workgroup}"
      },
      {
        Effect = "Allow"
        Action = ["glue:GetDatabase", "glue:GetTable", "glue:GetPartitions"]
        Resource = [
          "${local.glue}:catalog",
          "${local.glue}:database/${var.table.database}",
          "${local.glue}:table/${var.table.database}/${var.table.name}",
        ]
      },
      # Athena reads and writes with the rights of who asks.
      { Effect = "Allow", Action = ["s3:GetBucketLocation", "s3:ListBucket"], Resource = [var.bucket.arn, var.results_bucket.arn] },
      { Effect = "Allow", Action = "s3:GetObject", Resource = ["${var.bucket.arn}/${var.bucket.events_prefix}audit_type=${local.audit_type}/*", "${var.results_bucket.arn}/*"] },
      { Effect = "Allow", Action = ["s3:PutObject", "s3:AbortMultipartUpload"], Resource = "${var.results_bucket.arn}/*" },
      {
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = "arn:${var.account.partition}:logs:${var.account.region}:${var.account.id}:log-group:/aws/lambda/${local.canary_name}:*"
      },
      # X-Ray knows no resources.
      { Effect = "Allow", Action = ["xray:PutTraceSegments", "xray:PutTelemetryRecords"], Resource = "*" },
      ], !var.encryption.customer_managed ? [] : [{
        Effect    = "Allow"
        Action    = ["kms:GenerateDataKey", "kms:Decrypt"]
        Resource  = var.encryption.key_arn
        Condition = { StringLike = { "kms:ViaService" = "s3.${var.account.region}.amazonaws.com*" } } # China adds .cn
    }])
  })
}

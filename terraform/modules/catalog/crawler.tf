# Athena needs no crawler, because it projects the partitions; engines that do not know projection (Spark, Redshift
# Spectrum) need them registered, and this registers them. It changes nothing of the table.
resource "aws_glue_crawler" "events" {
  #checkov:skip=CKV_AWS_195:it reads what S3 decrypts for it and writes no data of its own

  count = var.catalog.crawler_schedule == null ? 0 : 1

  name          = "${var.name}-events"
  description   = "Registers the partitions of ${local.database}.${local.schema.table}."
  database_name = aws_glue_catalog_database.audit.name
  role          = aws_iam_role.crawler[0].arn
  schedule      = var.catalog.crawler_schedule

  configuration = jsonencode({
    Version       = 1.0
    CrawlerOutput = { Partitions = { AddOrUpdateBehavior = "InheritFromTable" } }
    Grouping      = { TableGroupingPolicy = "CombineCompatibleSchemas" }
  })

  catalog_target {
    database_name = aws_glue_catalog_database.audit.name
    tables        = [aws_glue_catalog_table.events.name]
  }

  schema_change_policy {
    delete_behavior = "LOG"
    update_behavior = "LOG"
  }

  depends_on = [aws_iam_role_policy.crawler]
}

resource "aws_iam_role" "crawler" {
  count = var.catalog.crawler_schedule == null ? 0 : 1

  name        = "${var.name}-crawler"
  description = "The crawler reads events and registers their partitions."
  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "glue.amazonaws.com" } }]
  })
}

resource "aws_iam_role_policy" "crawler" {
  count = var.catalog.crawler_schedule == null ? 0 : 1

  name = "register-partitions"
  role = aws_iam_role.crawler[0].name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat([
      { Effect = "Allow", Action = ["s3:GetBucketLocation", "s3:ListBucket"], Resource = var.bucket.arn },
      { Effect = "Allow", Action = "s3:GetObject", Resource = "${var.bucket.arn}/${var.bucket.events_prefix}*" },
      {
        Effect = "Allow"
        Action = [
          "glue:GetDatabase", "glue:GetTable", "glue:GetPartition", "glue:GetPartitions",
          "glue:BatchGetPartition", "glue:BatchCreatePartition", "glue:CreatePartition", "glue:UpdatePartition",
        ]
        Resource = [for resource in ["catalog", "database/${local.database}", "table/${local.database}/${local.schema.table}"] :
        "arn:${var.account.partition}:glue:${var.account.region}:${var.account.id}:${resource}"]
      },
      {
        Effect = "Allow"
        Action = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = [for below in ["", ":log-stream:*"] :
        "arn:${var.account.partition}:logs:${var.account.region}:${var.account.id}:log-group:/aws-glue/crawlers${below}"]
      },
      ], !var.encryption.customer_managed ? [] : [
      {
        Effect    = "Allow"
        Action    = "kms:Decrypt"
        Resource  = var.encryption.key_arn
        Condition = { StringLike = { "kms:ViaService" = "s3.${var.account.region}.amazonaws.com*" } } # China adds .cn
      },
    ])
  })
}

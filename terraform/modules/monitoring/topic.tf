locals {
  makes_topic = var.alarms.enabled && var.alarms.topic_arn == null
  topic_arn   = var.alarms.topic_arn != null ? var.alarms.topic_arn : "arn:${var.account.partition}:sns:${var.account.region}:${var.account.id}:${var.name}-alarms"
}

resource "aws_sns_topic" "alarms" {
  #checkov:skip=CKV_AWS_26:CloudWatch cannot publish to a topic under SNS's own key; encryption.mode customer_managed sets one that lets it

  count = local.makes_topic ? 1 : 0

  name         = "${var.name}-alarms"
  display_name = "Alarms of the audit log ${var.name}"
  # Without a key of the customer there is none: CloudWatch cannot publish to a topic under SNS's own key.
  kms_master_key_id = var.encryption.key_arn
}

resource "aws_sns_topic_policy" "alarms" {
  count = local.makes_topic ? 1 : 0

  arn = aws_sns_topic.alarms[0].arn
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "AlarmsOfThisAccount"
        Effect    = "Allow"
        Principal = { Service = "cloudwatch.amazonaws.com" }
        Action    = "sns:Publish"
        Resource  = local.topic_arn
        Condition = {
          StringEquals = { "aws:SourceAccount" = var.account.id }
          ArnLike      = { "aws:SourceArn" = "arn:${var.account.partition}:cloudwatch:${var.account.region}:${var.account.id}:alarm:*" }
        }
      },
      {
        Sid       = "OnlyTls"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sns:Publish"
        Resource  = local.topic_arn
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
    ]
  })
}

# Whoever owns the address confirms it first: AWS sends a mail with a link.
resource "aws_sns_topic_subscription" "email" {
  count = local.makes_topic && var.alarms.email != null ? 1 : 0

  topic_arn = aws_sns_topic.alarms[0].arn
  protocol  = "email"
  endpoint  = var.alarms.email
}

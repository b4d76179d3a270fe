# Other accounts read the events where they lie. No grant in the Glue catalog goes with it: that has one policy an account and
# region, and whoever writes it overwrites what others put there (docs/decisions/0024).
locals {
  readers = { AWS = [for id in var.reader_account_ids : "arn:${var.account.partition}:iam::${id}:root"] }

  reading = [for statement in [
    {
      Sid       = "SubscribersRead"
      Effect    = "Allow"
      Principal = local.readers
      Action    = "s3:GetObject"
      Resource  = "${local.arns.events[0]}/${local.events_prefix}*"
    },
    {
      Sid       = "SubscribersList"
      Effect    = "Allow"
      Principal = local.readers
      Action    = "s3:ListBucket"
      Resource  = local.arns.events[0]
      Condition = { StringLike = { "s3:prefix" = "${local.events_prefix}*" } }
    },
    {
      Sid       = "SubscribersLocate"
      Effect    = "Allow"
      Principal = local.readers
      Action    = "s3:GetBucketLocation"
      Resource  = local.arns.events[0]
    },
  ] : statement if length(var.reader_account_ids) > 0]
}

locals {
  customer_managed = var.encryption.mode == "customer_managed"
  makes_key        = local.customer_managed && var.encryption.kms_key_arn == null

  # Object Lock does not save data whose key is gone: without its key, what is locked is locked for ever and unreadable.
  destroying = ["kms:ScheduleKeyDeletion", "kms:DisableKey", "kms:DeleteImportedKeyMaterial"]

  deletion_guard = {
    Sid       = "NobodyDestroysTheKey"
    Effect    = "Deny"
    Principal = "*"
    Action    = local.destroying
    Resource  = "*"
  }

  key_policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat([
      # As AWS makes every key: the IAM policies of this account decide. Without it nobody could ever change the policy.
      {
        Sid       = "IamDecides"
        Effect    = "Allow"
        Principal = { AWS = "arn:${var.account.partition}:iam::${var.account.id}:root" }
        Action    = "kms:*"
        Resource  = "*"
      },
      {
        Sid       = "LogsOfThisStack"
        Effect    = "Allow"
        Principal = { Service = "logs.${var.account.region}.amazonaws.com" }
        Action    = ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"]
        Resource  = "*"
        Condition = {
          ArnLike = { "kms:EncryptionContext:aws:logs:arn" = "arn:${var.account.partition}:logs:${var.account.region}:${var.account.id}:log-group:*" }
        }
      },
      {
        Sid       = "AlarmsOfThisAccount"
        Effect    = "Allow"
        Principal = { Service = "cloudwatch.amazonaws.com" }
        Action    = ["kms:Decrypt", "kms:GenerateDataKey*"]
        Resource  = "*"
        Condition = { StringEquals = { "aws:SourceAccount" = var.account.id } }
      },
      ], length(var.reader_account_ids) == 0 ? [] : [{
        Sid       = "SubscribersDecrypt"
        Effect    = "Allow"
        Principal = { AWS = [for id in var.reader_account_ids : "arn:${var.account.partition}:iam::${id}:root"] }
        Action    = "kms:Decrypt"
        Resource  = "*"
        Condition = { StringLike = { "kms:ViaService" = "s3.${var.account.region}.amazonaws.com*" } } # China adds .cn
      }], [
      merge(local.deletion_guard, {
        for arn in compact([var.encryption.break_glass_principal_arn]) : "Condition" => { ArnNotEquals = { "aws:PrincipalArn" = arn } }
      }),
      ], length(var.administrator_arns) == 0 ? [] : [{
        Sid       = "OnlyAdministratorsChangeThePolicy"
        Effect    = "Deny"
        Principal = "*"
        Action    = "kms:PutKeyPolicy"
        Resource  = "*"
        Condition = { ArnNotLike = { "aws:PrincipalArn" = var.administrator_arns } }
    }])
  })
}

resource "aws_kms_key" "events" {
  count = local.makes_key ? 1 : 0

  description             = "Encrypts the audit log ${var.name}."
  enable_key_rotation     = true # each year, which is AWS's own period
  deletion_window_in_days = 30
  policy                  = local.key_policy

  # Object Lock does not save events whose key is gone (docs/upgrading.md).
  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_kms_alias" "events" {
  count = local.makes_key ? 1 : 0

  name          = "alias/${var.name}"
  target_key_id = aws_kms_key.events[0].key_id
}

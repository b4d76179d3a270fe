locals {
  everybody = { Effect = "Deny", Principal = "*" }
  arns      = { for name, bucket in local.buckets : name => ["arn:${var.account.partition}:s3:::${bucket}", "arn:${var.account.partition}:s3:::${bucket}/*"] }

  only_tls = {
    for name, bucket in local.buckets : name => [
      merge(local.everybody, { Sid = "OnlyTls", Action = "s3:*", Resource = local.arns[name], Condition = { Bool = { "aws:SecureTransport" = "false" } } }),
      merge(local.everybody, { Sid = "OnlyTls12", Action = "s3:*", Resource = local.arns[name], Condition = { NumericLessThan = { "s3:TlsVersion" = "1.2" } } }),
    ]
  }

  # A day less than the default retention: whether S3 counts a day that has begun is not documented.
  least_retention_days = !var.object_lock.enabled ? 0 : (local.retention.years == null ? local.retention.days : local.retention.years * 365) - 1

  # What a wrong condition would stop is delivery: each looks only at what S3 documents that it sends (docs/security.md).
  evidence = concat(
    [
      merge(local.everybody, {
        Sid       = "OnlyTheStreamWrites"
        Action    = "s3:PutObject"
        Resource  = local.arns.events[1]
        Condition = { ArnNotEquals = { "aws:PrincipalArn" = var.writer_role_arn } }
      }),
      # Lifecycle rules are S3's own and no request. Whoever must empty a bucket of trials takes this out of the policy first.
      merge(local.everybody, {
        Sid      = "NobodyDeletes"
        Action   = ["s3:DeleteObject", "s3:DeleteObjectVersion", "s3:BypassGovernanceRetention"]
        Resource = local.arns.events[1]
      }),
      # Another bucket's replication writes objects and delete markers by actions of its own, which PutObject does not hold.
      merge(local.everybody, {
        Sid      = "NobodyReplicatesInto"
        Action   = ["s3:ReplicateObject", "s3:ReplicateDelete", "s3:ReplicateTags"]
        Resource = local.arns.events[1]
      }),
    ],
    # Without a retention in the request the key is absent, and the bucket's default holds.
    local.least_retention_days == 0 ? [] : [merge(local.everybody, {
      Sid       = "NoShorterRetention"
      Action    = "s3:PutObject"
      Resource  = local.arns.events[1]
      Condition = { NumericLessThan = { "s3:object-lock-remaining-retention-days" = tostring(local.least_retention_days) } }
    })],
    !var.encryption.customer_managed ? [] : [merge(local.everybody, {
      Sid      = "NoOtherKey"
      Action   = "s3:PutObject"
      Resource = local.arns.events[1]
      Condition = {
        # StringNotEquals alone also holds for a request that names no key, which the bucket's own encrypts.
        Null            = { "s3:x-amz-server-side-encryption-aws-kms-key-id" = "false" }
        StringNotEquals = { "s3:x-amz-server-side-encryption-aws-kms-key-id" = var.encryption.key_arn }
      }
    })],
    length(var.administrator_arns) == 0 ? [] : [merge(local.everybody, {
      Sid = "OnlyAdministratorsChangeTheBucket"
      Action = [
        "s3:DeleteBucket", "s3:DeleteBucketPolicy", "s3:PutBucketObjectLockConfiguration", "s3:PutBucketOwnershipControls",
        "s3:PutBucketPolicy", "s3:PutBucketPublicAccessBlock", "s3:PutBucketVersioning", "s3:PutEncryptionConfiguration",
        "s3:PutLifecycleConfiguration", "s3:PutReplicationConfiguration",
      ]
      Resource  = local.arns.events[0]
      Condition = { ArnNotLike = { "aws:PrincipalArn" = var.administrator_arns } }
    })],
  )

  policies = {
    events  = jsonencode({ Version = "2012-10-17", Statement = concat(local.only_tls.events, local.evidence, local.reading) })
    results = jsonencode({ Version = "2012-10-17", Statement = local.only_tls.results })
  }
}

resource "aws_s3_bucket_public_access_block" "buckets" {
  for_each = local.buckets

  bucket                  = each.value
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "buckets" {
  for_each = local.buckets

  bucket = each.value

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_policy" "buckets" {
  for_each = local.buckets

  bucket = each.value
  policy = local.policies[each.key]

  # S3 refuses changes of both at once.
  depends_on = [aws_s3_bucket_public_access_block.buckets]
}

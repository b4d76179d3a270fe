# The copy of an audit log, in another region or account: apply it there, then give its ARN to the stack as replication.bucket_arn.

locals {
  arn           = "arn:${split(":", var.source_role_arn)[1]}:s3:::${var.bucket}"
  everything    = [local.arn, "${local.arn}/*"]
  everybody     = { Effect = "Deny", Principal = "*" }
  copier        = { Principal = { AWS = "arn:${split(":", var.source_role_arn)[1]}:iam::${split(":", var.source_role_arn)[4]}:root" } }
  is_the_copier = { ArnEquals = { "aws:PrincipalArn" = var.source_role_arn } }
  days          = var.object_lock.days == null && var.object_lock.years == null ? 365 : var.object_lock.days
}

resource "aws_s3_bucket" "copies" {
  #checkov:skip=CKV_AWS_18:CloudTrail's data events say who read what, with the identity; access logs are best effort and cannot lie in a locked bucket
  #checkov:skip=CKV_AWS_144:it is the copy
  #checkov:skip=CKV_AWS_145:S3's own keys by default; encryption.kms_key_arn sets a key
  #checkov:skip=CKV2_AWS_62:nobody is to be told of each copy

  bucket              = var.bucket
  object_lock_enabled = true

  # As the stack's own bucket; another name or region would be another bucket, and this one gone.
  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_s3_bucket_versioning" "copies" {
  bucket = aws_s3_bucket.copies.bucket

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_object_lock_configuration" "copies" {
  bucket = aws_s3_bucket.copies.bucket

  rule {
    default_retention {
      mode  = var.object_lock.mode
      days  = local.days
      years = var.object_lock.years
    }
  }

  depends_on = [aws_s3_bucket_versioning.copies]
}

resource "aws_s3_bucket_server_side_encryption_configuration" "copies" {
  bucket = aws_s3_bucket.copies.bucket

  rule {
    bucket_key_enabled = var.encryption.kms_key_arn == null ? null : true

    apply_server_side_encryption_by_default {
      sse_algorithm     = var.encryption.kms_key_arn == null ? "AES256" : "aws:kms"
      kms_master_key_id = var.encryption.kms_key_arn
    }
  }
}

resource "aws_s3_bucket_public_access_block" "copies" {
  bucket                  = aws_s3_bucket.copies.bucket
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "copies" {
  bucket = aws_s3_bucket.copies.bucket

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "copies" {
  bucket = aws_s3_bucket.copies.bucket

  rule {
    id     = "abort-multipart"
    status = "Enabled"

    filter {}

    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }

  depends_on = [aws_s3_bucket_versioning.copies]
}

resource "aws_s3_bucket_policy" "copies" {
  bucket = aws_s3_bucket.copies.bucket
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      merge(local.everybody, { Sid = "OnlyTls", Action = "s3:*", Resource = local.everything, Condition = { Bool = { "aws:SecureTransport" = "false" } } }),
      merge(local.everybody, { Sid = "OnlyTls12", Action = "s3:*", Resource = local.everything, Condition = { NumericLessThan = { "s3:TlsVersion" = "1.2" } } }),
      # The copier of another account needs this; that of this account has it from its own policy too.
      merge(local.copier, {
        Sid       = "TheStackCopies"
        Effect    = "Allow"
        Action    = ["s3:ReplicateObject", "s3:ReplicateTags", "s3:ObjectOwnerOverrideToBucketOwner"]
        Resource  = "${local.arn}/*"
        Condition = local.is_the_copier
      }),
      merge(local.copier, {
        Sid       = "TheStackLooksAtVersioning"
        Effect    = "Allow"
        Action    = ["s3:GetBucketVersioning", "s3:List*"]
        Resource  = local.arn
        Condition = local.is_the_copier
      }),
      merge(local.everybody, {
        Sid       = "OnlyTheCopierCopies"
        Action    = ["s3:ReplicateObject", "s3:ReplicateTags"]
        Resource  = "${local.arn}/*"
        Condition = { ArnNotEquals = { "aws:PrincipalArn" = var.source_role_arn } }
      }),
      merge(local.everybody, {
        Sid      = "NobodyWritesOrDeletes"
        Action   = ["s3:PutObject", "s3:DeleteObject", "s3:DeleteObjectVersion", "s3:ReplicateDelete", "s3:BypassGovernanceRetention"]
        Resource = "${local.arn}/*"
      }),
    ]
  })

  # S3 refuses changes of both at once.
  depends_on = [aws_s3_bucket_public_access_block.copies]
}

output "bucket_arn" {
  description = "What the stack takes as replication.bucket_arn."
  value       = local.arn
  depends_on = [
    aws_s3_bucket_object_lock_configuration.copies,
    aws_s3_bucket_policy.copies,
    aws_s3_bucket_versioning.copies,
  ]
}

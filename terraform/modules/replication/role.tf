locals {
  via_s3 = "s3.${var.account.region}.amazonaws.com*" # China adds .cn

  use_keys = concat(
    !var.encryption.customer_managed ? [] : [{
      Effect    = "Allow"
      Action    = ["kms:Decrypt"]
      Resource  = [var.encryption.key_arn]
      Condition = { StringLike = { "kms:ViaService" = local.via_s3 } }
    }],
    length(local.to_key) == 0 ? [] : [{
      Effect    = "Allow"
      Action    = ["kms:Encrypt"]
      Resource  = local.to_key
      Condition = { StringLike = { "kms:ViaService" = "s3.*.amazonaws.com*" } }
    }],
  )
}

resource "aws_iam_role" "replication" {
  name        = local.role_name
  description = "S3 copies the events with their retention; it can delete nothing, here or there."

  # No aws:SourceArn: that S3 sends it for replication is not documented, and a wrong guess would end the copies. Only this
  # account can name the role: it takes iam:PassRole.
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "s3.amazonaws.com" }
    }]
  })
}

# Neither s3:ReplicateDelete nor anything that could shorten a retention (E2).
resource "aws_iam_role_policy" "replication" {
  name = "copy"
  role = aws_iam_role.replication.name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat([
      {
        Effect   = "Allow"
        Action   = ["s3:GetReplicationConfiguration", "s3:ListBucket"]
        Resource = [var.bucket.arn]
      },
      {
        Effect = "Allow"
        Action = [
          "s3:GetObjectLegalHold", "s3:GetObjectRetention", "s3:GetObjectVersionAcl", "s3:GetObjectVersionForReplication",
          "s3:GetObjectVersionTagging",
        ]
        Resource = ["${var.bucket.arn}/*"]
      },
      {
        Effect   = "Allow"
        Action   = concat(["s3:ReplicateObject", "s3:ReplicateTags"], local.is_foreign ? ["s3:ObjectOwnerOverrideToBucketOwner"] : [])
        Resource = ["${var.replication.bucket_arn}/*"]
      },
    ], local.use_keys)
  })
}

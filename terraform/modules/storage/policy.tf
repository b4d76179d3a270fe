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
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      for guard in [
        { sid = "OnlyTls", condition = { Bool = { "aws:SecureTransport" = "false" } } },
        { sid = "OnlyTls12", condition = { NumericLessThan = { "s3:TlsVersion" = "1.2" } } },
        ] : {
        Sid       = guard.sid
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:*"
        Resource  = ["arn:${var.account.partition}:s3:::${each.value}", "arn:${var.account.partition}:s3:::${each.value}/*"]
        Condition = guard.condition
      }
    ]
  })

  # S3 refuses changes of both at once.
  depends_on = [aws_s3_bucket_public_access_block.buckets]
}

locals {
  events_bucket  = "${var.name}-events-${var.account.id}"
  results_bucket = "${var.name}-athena-results-${var.account.id}"

  # What both buckets have in common is declared once, for each of these.
  buckets = {
    events  = aws_s3_bucket.events.bucket
    results = aws_s3_bucket.results.bucket
  }
}

# No force_destroy: `terraform destroy` stops here while there is an event.
resource "aws_s3_bucket" "events" {
  bucket              = local.events_bucket
  object_lock_enabled = var.object_lock.enabled
}

# Not the locked bucket, which would keep every result of every query as long as the events.
resource "aws_s3_bucket" "results" {
  bucket              = local.results_bucket
  object_lock_enabled = false
  force_destroy       = true
}

resource "aws_s3_bucket_versioning" "events" {
  bucket = aws_s3_bucket.events.bucket

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "buckets" {
  for_each = local.buckets

  bucket = each.value

  rule {
    bucket_key_enabled = var.kms_key_arn == null ? null : true # one KMS request a bucket and time, not one an object

    apply_server_side_encryption_by_default {
      sse_algorithm     = var.kms_key_arn == null ? "AES256" : "aws:kms"
      kms_master_key_id = var.kms_key_arn
    }
  }
}

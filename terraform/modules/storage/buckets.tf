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
  #checkov:skip=CKV_AWS_18:CloudTrail's data events say who read what, with the identity; access logs are best effort and cannot lie in a locked bucket
  #checkov:skip=CKV_AWS_144:replication is an option: a second copy is a second place to guard
  #checkov:skip=CKV_AWS_145:S3's own keys by default; encryption.mode customer_managed sets a key
  #checkov:skip=CKV2_AWS_6:it has one, by for_each over both buckets, which the check does not follow
  #checkov:skip=CKV2_AWS_62:nobody is to be told of each object; the alarm error-prefix tells of those that matter

  bucket              = local.events_bucket
  object_lock_enabled = var.object_lock.enabled

  # Terraform would take everything else down before S3 refuses to delete a bucket that is not empty (docs/upgrading.md).
  lifecycle {
    prevent_destroy = true
  }
}

# Not the locked bucket, which would keep every result of every query as long as the events.
resource "aws_s3_bucket" "results" {
  #checkov:skip=CKV_AWS_18:results are copies that go after some days; who asked is in CloudTrail and in the workgroup
  #checkov:skip=CKV_AWS_21:results are copies that go after some days; versions would keep them
  #checkov:skip=CKV_AWS_144:results are copies that anyone who may can make again
  #checkov:skip=CKV_AWS_145:S3's own keys by default; encryption.mode customer_managed sets a key
  #checkov:skip=CKV2_AWS_6:it has one, by for_each over both buckets, which the check does not follow
  #checkov:skip=CKV2_AWS_62:nobody is to be told of each result

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
    bucket_key_enabled = var.encryption.customer_managed ? true : null # one KMS request a bucket and time, not one an object

    apply_server_side_encryption_by_default {
      sse_algorithm     = var.encryption.customer_managed ? "aws:kms" : "AES256"
      kms_master_key_id = var.encryption.key_arn
    }
  }
}

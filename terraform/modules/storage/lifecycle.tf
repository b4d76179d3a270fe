locals {
  transitions = [
    for transition in [
      { days = var.lifecycle_days.glacier_ir, storage_class = "GLACIER_IR" },
      { days = var.lifecycle_days.deep_archive, storage_class = "DEEP_ARCHIVE" },
    ] : transition if transition.days != null
  ]

  # A year where no lock says how long, so that a mistake can be seen and undone.
  noncurrent_days = var.lifecycle_days.noncurrent != null ? var.lifecycle_days.noncurrent : var.object_lock.enabled ? local.retention_days : 365
}

resource "aws_s3_bucket_lifecycle_configuration" "events" {
  #checkov:skip=CKV_AWS_300:rule abort-multipart does it; the check does not follow the dynamic rules beside it

  bucket = aws_s3_bucket.events.bucket
  # Smaller objects stay: a Glacier class charges for 128 KB and for each transition, more than it saves (E4).
  transition_default_minimum_object_size = "all_storage_classes_128K"

  # Not what failed, which stays where it can be redriven at once.
  dynamic "rule" {
    for_each = length(local.transitions) == 0 ? {} : merge({ archive = local.events_prefix }, var.raw_backup ? { archive-raw = local.raw_prefix } : {})

    content {
      id     = rule.key
      status = "Enabled"

      filter {
        prefix = rule.value
      }

      dynamic "transition" {
        for_each = local.transitions

        content {
          days          = transition.value.days
          storage_class = transition.value.storage_class
        }
      }
    }
  }

  dynamic "rule" {
    for_each = var.lifecycle_days.expire == null ? [] : [var.lifecycle_days.expire]

    content {
      id     = "expire"
      status = "Enabled"

      filter {}

      expiration {
        days = rule.value
      }
    }
  }

  rule {
    id     = "noncurrent"
    status = "Enabled"

    filter {}

    noncurrent_version_expiration {
      noncurrent_days = local.noncurrent_days
    }
  }

  rule {
    id     = "abort-multipart"
    status = "Enabled"

    filter {}

    abort_incomplete_multipart_upload {
      days_after_initiation = var.lifecycle_days.abort_multipart
    }
  }

  depends_on = [aws_s3_bucket_versioning.events]
}

resource "aws_s3_bucket_lifecycle_configuration" "results" {
  bucket = aws_s3_bucket.results.bucket

  rule {
    id     = "expire"
    status = "Enabled"

    filter {}

    expiration {
      days = var.lifecycle_days.athena_results
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = var.lifecycle_days.abort_multipart
    }
  }
}

locals {
  retention = {
    days  = var.object_lock.days == null && var.object_lock.years == null ? 365 : var.object_lock.days
    years = var.object_lock.years
  }

  # For comparing with the lifecycle: years with their leap days; no lock retains nothing.
  retention_days = !var.object_lock.enabled ? 0 : local.retention.years == null ? local.retention.days : ceil(local.retention.years * 365.25)
}

# Holds for every new version in the bucket, also for what failed under errors/ (E2).
resource "aws_s3_bucket_object_lock_configuration" "events" {
  count = var.object_lock.enabled ? 1 : 0

  bucket = aws_s3_bucket.events.bucket

  rule {
    default_retention {
      mode  = var.object_lock.mode
      days  = local.retention.days
      years = local.retention.years
    }
  }

  depends_on = [aws_s3_bucket_versioning.events]
}

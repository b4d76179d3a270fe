locals {
  events_prefix = "events/"
  errors_prefix = "errors/"
  # In this bucket, not its own: lock, policy, key and replication are those of the events, of which it is another form.
  raw_prefix = var.raw_backup ? "raw/" : null
}

# Composed, so that a plan knows them; whoever uses a bucket still waits until it is locked, encrypted and closed.
output "bucket" {
  description = "The bucket that keeps the events, and the prefixes under which it keeps events, what failed, and records as they came (null without)."
  value = {
    name          = local.events_bucket
    arn           = "arn:${var.account.partition}:s3:::${local.events_bucket}"
    events_prefix = local.events_prefix
    errors_prefix = local.errors_prefix
    raw_prefix    = local.raw_prefix
  }
  depends_on = [
    aws_s3_bucket_object_lock_configuration.events,
    aws_s3_bucket_ownership_controls.buckets,
    aws_s3_bucket_policy.buckets,
    aws_s3_bucket_server_side_encryption_configuration.buckets,
    aws_s3_bucket_versioning.events,
  ]
}

output "results_bucket" {
  description = "The bucket that keeps Athena's results for a while."
  value = {
    name = local.results_bucket
    arn  = "arn:${var.account.partition}:s3:::${local.results_bucket}"
  }
  depends_on = [
    aws_s3_bucket_ownership_controls.buckets,
    aws_s3_bucket_policy.buckets,
    aws_s3_bucket_server_side_encryption_configuration.buckets,
  ]
}

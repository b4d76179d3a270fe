resource "aws_athena_workgroup" "audit" {
  name        = var.name
  description = "Queries over the audit log ${var.name}."
  # AWS keeps the history of queries in the workgroup, and would refuse to delete it for that.
  force_destroy = true

  configuration {
    # Otherwise a client's own settings would win over the cutoff and the location.
    enforce_workgroup_configuration    = true
    publish_cloudwatch_metrics_enabled = true
    bytes_scanned_cutoff_per_query     = var.catalog.scan_cutoff_bytes

    engine_version {
      selected_engine_version = "Athena engine version 3"
    }

    result_configuration {
      output_location       = "s3://${var.results_bucket.name}/"
      expected_bucket_owner = var.account.id

      encryption_configuration {
        encryption_option = var.encryption.customer_managed ? "SSE_KMS" : "SSE_S3"
        kms_key_arn       = var.encryption.key_arn
      }
    }
  }
}

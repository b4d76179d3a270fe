locals {
  role_name  = "${var.name}-replication"
  rule       = "everything"
  is_foreign = var.replication.account_id == null ? false : var.replication.account_id != var.account.id
  to_key     = var.replication.kms_key_arn == null ? [] : [var.replication.kms_key_arn]
}

# S3 copies what is written from now on; what was there before takes a job of S3 Batch Replication.
resource "aws_s3_bucket_replication_configuration" "events" {
  bucket = var.bucket.name
  role   = aws_iam_role.replication.arn

  rule {
    id       = local.rule
    priority = 0
    status   = "Enabled"

    filter {}

    # A delete marker hides an event and removes none: it is not copied, so that hiding here hides nothing there.
    delete_marker_replication {
      status = "Disabled"
    }

    dynamic "source_selection_criteria" {
      for_each = var.encryption.customer_managed ? [true] : []

      content {
        sse_kms_encrypted_objects {
          status = "Enabled"
        }
      }
    }

    destination {
      bucket        = var.replication.bucket_arn
      account       = local.is_foreign ? var.replication.account_id : null
      storage_class = var.replication.storage_class

      # The copies are the other account's: nobody of this one can take them back.
      dynamic "access_control_translation" {
        for_each = local.is_foreign ? [true] : []

        content {
          owner = "Destination"
        }
      }

      dynamic "encryption_configuration" {
        for_each = local.to_key

        content {
          replica_kms_key_id = encryption_configuration.value
        }
      }

      metrics {
        status = "Enabled"

        dynamic "event_threshold" {
          for_each = var.replication.time_control ? [15] : []

          content {
            minutes = event_threshold.value
          }
        }
      }

      dynamic "replication_time" {
        for_each = var.replication.time_control ? [15] : []

        content {
          status = "Enabled"

          time {
            minutes = replication_time.value
          }
        }
      }
    }
  }

  depends_on = [aws_iam_role_policy.replication]
}

resource "aws_cloudwatch_metric_alarm" "failed" {
  count = var.monitoring.topic_arn == null ? 0 : 1

  alarm_name        = "${var.name}-replication-failed"
  alarm_description = "Events could not be copied to ${var.replication.bucket_arn}. ${var.monitoring.runbook_url}#replication-failed"
  namespace         = "AWS/S3"
  metric_name       = "OperationsFailedReplication"
  dimensions = {
    SourceBucket      = var.bucket.name
    DestinationBucket = element(split(":::", var.replication.bucket_arn), 1)
    RuleId            = local.rule
  }

  statistic           = "Sum"
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  period              = 300 # seconds
  evaluation_periods  = 1
  treat_missing_data  = "notBreaching"

  alarm_actions = [var.monitoring.topic_arn]
  ok_actions    = [var.monitoring.topic_arn]
}

mock_provider "aws" {}

variables {
  name       = "auditlake"
  account    = { id = "123456789012", region = "us-east-1", partition = "aws" }
  bucket     = { name = "auditlake-events-123456789012", arn = "arn:aws:s3:::auditlake-events-123456789012" }
  encryption = { customer_managed = false, key_arn = null }
  monitoring = { topic_arn = "arn:aws:sns:us-east-1:123456789012:auditlake-alarms", runbook_url = "docs/runbook.md" }
  replication = {
    bucket_arn    = "arn:aws:s3:::copies"
    account_id    = null
    kms_key_arn   = null
    storage_class = "GLACIER_IR"
    time_control  = false
  }
}

run "everything_is_copied_but_no_delete_marker" {
  command = plan

  assert {
    condition     = aws_s3_bucket_replication_configuration.events.rule[0].status == "Enabled" && aws_s3_bucket_replication_configuration.events.rule[0].delete_marker_replication[0].status == "Disabled"
    error_message = "A delete marker should hide nothing in the copy."
  }

  assert {
    condition     = aws_s3_bucket_replication_configuration.events.rule[0].destination[0].bucket == "arn:aws:s3:::copies" && aws_s3_bucket_replication_configuration.events.rule[0].destination[0].storage_class == "GLACIER_IR"
    error_message = "Copies should go to the given bucket, in the given storage class."
  }

  assert {
    condition     = length(aws_s3_bucket_replication_configuration.events.rule[0].destination[0].access_control_translation) == 0 && length(aws_s3_bucket_replication_configuration.events.rule[0].destination[0].replication_time) == 0
    error_message = "Within the account no owner changes, and nobody pays for a promise that was not asked for."
  }
}

run "the_role_reads_retentions_and_can_delete_nothing" {
  command = plan

  assert {
    condition     = alltrue([for action in ["s3:GetObjectRetention", "s3:GetObjectLegalHold", "s3:GetObjectVersionForReplication"] : strcontains(aws_iam_role_policy.replication.policy, action)])
    error_message = "The retention is copied only if the role may read it."
  }

  assert {
    condition     = !strcontains(aws_iam_role_policy.replication.policy, "Delete")
    error_message = "The role should not copy deletions."
  }

  assert {
    condition = toset(flatten([for statement in jsondecode(aws_iam_role_policy.replication.policy).Statement : statement.Resource])) == toset([
      "arn:aws:s3:::auditlake-events-123456789012", "arn:aws:s3:::auditlake-events-123456789012/*", "arn:aws:s3:::copies/*",
    ])
    error_message = "The role should name these two buckets and nothing else."
  }
}

run "another_account_owns_its_copies" {
  command = plan

  variables {
    replication = { bucket_arn = "arn:aws:s3:::copies", account_id = "210987654321", kms_key_arn = null, storage_class = "STANDARD", time_control = false }
  }

  assert {
    condition     = aws_s3_bucket_replication_configuration.events.rule[0].destination[0].account == "210987654321" && aws_s3_bucket_replication_configuration.events.rule[0].destination[0].access_control_translation[0].owner == "Destination"
    error_message = "The other account should own the copies."
  }

  assert {
    condition     = strcontains(aws_iam_role_policy.replication.policy, "s3:ObjectOwnerOverrideToBucketOwner")
    error_message = "The role needs the right to give the copies away."
  }
}

run "what_a_key_encrypts_is_copied_under_the_copys_key" {
  command = plan

  variables {
    encryption  = { customer_managed = true, key_arn = "arn:aws:kms:us-east-1:123456789012:key/source" }
    replication = { bucket_arn = "arn:aws:s3:::copies", account_id = null, kms_key_arn = "arn:aws:kms:eu-west-1:123456789012:key/copy", storage_class = "STANDARD", time_control = true }
  }

  assert {
    condition     = aws_s3_bucket_replication_configuration.events.rule[0].source_selection_criteria[0].sse_kms_encrypted_objects[0].status == "Enabled" && aws_s3_bucket_replication_configuration.events.rule[0].destination[0].encryption_configuration[0].replica_kms_key_id == "arn:aws:kms:eu-west-1:123456789012:key/copy"
    error_message = "Without this S3 leaves out whatever a key encrypts."
  }

  assert {
    condition     = strcontains(aws_iam_role_policy.replication.policy, "key/source") && strcontains(aws_iam_role_policy.replication.policy, "key/copy")
    error_message = "The role should decrypt with the one key and encrypt with the other."
  }

  assert {
    condition     = aws_s3_bucket_replication_configuration.events.rule[0].destination[0].replication_time[0].time[0].minutes == 15
    error_message = "The promise of S3 is 15 minutes."
  }
}

run "a_failed_copy_raises_an_alarm" {
  command = plan

  assert {
    condition     = aws_cloudwatch_metric_alarm.failed[0].metric_name == "OperationsFailedReplication" && aws_cloudwatch_metric_alarm.failed[0].dimensions["DestinationBucket"] == "copies"
    error_message = "The alarm should look at failed copies into this bucket."
  }

  assert {
    condition     = endswith(aws_cloudwatch_metric_alarm.failed[0].alarm_description, "docs/runbook.md#replication-failed")
    error_message = "The alarm should name its section of the runbook."
  }
}

run "without_alarms_there_is_none" {
  command = plan

  variables {
    monitoring = { topic_arn = null, runbook_url = "docs/runbook.md" }
  }

  assert {
    condition     = length(aws_cloudwatch_metric_alarm.failed) == 0
    error_message = "alarms.enabled = false should hold here too."
  }
}

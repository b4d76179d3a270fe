mock_provider "aws" {}

variables {
  encryption         = { customer_managed = false, key_arn = null }
  administrator_arns = []
  reader_account_ids = []
  writer_role_arn    = "arn:aws:iam::123456789012:role/auditlake-events"
  name               = "auditlake"
  account            = { id = "123456789012", region = "us-east-1", partition = "aws" }
  object_lock        = { enabled = true, mode = "GOVERNANCE", days = null, years = null }
  lifecycle_days     = { glacier_ir = 90, deep_archive = null, expire = null, noncurrent = null, abort_multipart = 7, athena_results = 30 }
}

run "events_are_locked_for_a_year_by_default" {
  command = plan

  assert {
    condition     = aws_s3_bucket.events.object_lock_enabled
    error_message = "The bucket should be made with Object Lock."
  }

  assert {
    condition     = aws_s3_bucket_object_lock_configuration.events[0].rule[0].default_retention[0].mode == "GOVERNANCE" && aws_s3_bucket_object_lock_configuration.events[0].rule[0].default_retention[0].days == 365
    error_message = "Retention should be 365 days in GOVERNANCE mode."
  }
}

run "events_can_be_locked_in_compliance_mode_for_years" {
  command = plan

  variables {
    object_lock = { enabled = true, mode = "COMPLIANCE", days = null, years = 7 }
  }

  assert {
    condition     = aws_s3_bucket_object_lock_configuration.events[0].rule[0].default_retention[0].mode == "COMPLIANCE" && aws_s3_bucket_object_lock_configuration.events[0].rule[0].default_retention[0].years == 7
    error_message = "Retention should be 7 years in COMPLIANCE mode."
  }

  assert {
    condition     = local.retention_days == 2557
    error_message = "7 years should count as 2,557 days, leap days included."
  }
}

run "the_lock_is_off_only_by_choice" {
  command = plan

  variables {
    object_lock = { enabled = false, mode = "GOVERNANCE", days = null, years = null }
  }

  assert {
    condition     = !aws_s3_bucket.events.object_lock_enabled && length(aws_s3_bucket_object_lock_configuration.events) == 0
    error_message = "Without a lock there should be no retention."
  }

  assert {
    condition     = [for rule in aws_s3_bucket_lifecycle_configuration.events.rule : rule.noncurrent_version_expiration[0].noncurrent_days if rule.id == "noncurrent"] == [365]
    error_message = "What was overwritten should stay for a year even then."
  }
}

run "every_version_is_kept" {
  command = plan

  assert {
    condition     = aws_s3_bucket_versioning.events.versioning_configuration[0].status == "Enabled"
    error_message = "The bucket should keep versions; Object Lock needs them."
  }
}

run "destroying_the_stack_does_not_destroy_events" {
  command = plan

  assert {
    condition     = aws_s3_bucket.events.force_destroy != true
    error_message = "The bucket of events should not be emptied by a destroy."
  }
}

run "by_default_events_move_to_where_athena_still_reads_them_and_stay" {
  command = plan

  assert {
    condition     = { for rule in aws_s3_bucket_lifecycle_configuration.events.rule : rule.id => [for transition in rule.transition : "${transition.storage_class} ${transition.days}"] } == { archive = ["GLACIER_IR 90"], noncurrent = [], abort-multipart = [] }
    error_message = "The only transition should be to Glacier Instant Retrieval after 90 days, and nothing should expire."
  }

  assert {
    condition     = [for rule in aws_s3_bucket_lifecycle_configuration.events.rule : rule.filter[0].prefix if rule.id == "archive"] == ["events/"]
    error_message = "What failed should stay where it can be redriven."
  }

  assert {
    condition     = aws_s3_bucket_lifecycle_configuration.events.transition_default_minimum_object_size == "all_storage_classes_128K"
    error_message = "Small objects should stay, because moving them costs more than it saves."
  }
}

run "events_can_move_to_deep_archive_and_go_after_their_retention" {
  command = plan

  variables {
    object_lock    = { enabled = true, mode = "COMPLIANCE", days = 400, years = null }
    lifecycle_days = { glacier_ir = 90, deep_archive = 180, expire = 400, noncurrent = 400, abort_multipart = 7, athena_results = 30 }
  }

  assert {
    condition     = [for rule in aws_s3_bucket_lifecycle_configuration.events.rule : toset([for transition in rule.transition : "${transition.storage_class} ${transition.days}"]) if rule.id == "archive"] == [toset(["GLACIER_IR 90", "DEEP_ARCHIVE 180"])]
    error_message = "Events should move twice."
  }

  assert {
    condition     = [for rule in aws_s3_bucket_lifecycle_configuration.events.rule : rule.expiration[0].days if rule.id == "expire"] == [400]
    error_message = "Events should go on the day their retention ends."
  }
}

run "without_transitions_there_is_no_archive_rule" {
  command = plan

  variables {
    lifecycle_days = { glacier_ir = null, deep_archive = null, expire = null, noncurrent = null, abort_multipart = 7, athena_results = 30 }
  }

  assert {
    condition     = aws_s3_bucket_lifecycle_configuration.events.rule[*].id == tolist(["noncurrent", "abort-multipart"])
    error_message = "Events should stay where they are."
  }
}

run "what_was_hidden_outlives_its_retention" {
  command = plan

  assert {
    condition     = [for rule in aws_s3_bucket_lifecycle_configuration.events.rule : rule.noncurrent_version_expiration[0].noncurrent_days if rule.id == "noncurrent"] == [365]
    error_message = "Noncurrent versions should stay as long as the retention."
  }
}

run "unfinished_uploads_and_old_results_go" {
  command = plan

  assert {
    condition     = [for rule in aws_s3_bucket_lifecycle_configuration.events.rule : rule.abort_incomplete_multipart_upload[0].days_after_initiation if rule.id == "abort-multipart"] == [7]
    error_message = "Unfinished uploads should go after 7 days."
  }

  assert {
    condition     = aws_s3_bucket_lifecycle_configuration.results.rule[0].expiration[0].days == 30
    error_message = "Results should go after 30 days."
  }

  assert {
    condition     = !aws_s3_bucket.results.object_lock_enabled
    error_message = "Results should not be locked."
  }
}

run "both_buckets_are_closed_and_take_only_tls" {
  command = plan

  assert {
    condition     = keys(aws_s3_bucket_public_access_block.buckets) == ["events", "results"] && alltrue([for block in values(aws_s3_bucket_public_access_block.buckets) : block.block_public_acls && block.block_public_policy && block.ignore_public_acls && block.restrict_public_buckets])
    error_message = "Nothing should be public."
  }

  assert {
    condition     = keys(aws_s3_bucket_ownership_controls.buckets) == ["events", "results"] && alltrue([for controls in values(aws_s3_bucket_ownership_controls.buckets) : controls.rule[0].object_ownership == "BucketOwnerEnforced"])
    error_message = "ACLs should be off."
  }

  assert {
    condition = alltrue([for key, bucket in { events = "auditlake-events-123456789012", results = "auditlake-athena-results-123456789012" } :
      jsondecode(aws_s3_bucket_policy.buckets[key].policy).Statement[0] == {
        Sid       = "OnlyTls"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:*"
        Resource  = ["arn:aws:s3:::${bucket}", "arn:aws:s3:::${bucket}/*"]
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      }
    ])
    error_message = "Everybody should be refused without TLS."
  }

  assert {
    condition = alltrue([for policy in values(aws_s3_bucket_policy.buckets) :
      [for statement in jsondecode(policy.policy).Statement : statement.Condition if statement.Effect == "Deny" && statement.Principal == "*" && statement.Action == "s3:*" && statement.Sid == "OnlyTls12"
    ] == [{ NumericLessThan = { "s3:TlsVersion" = "1.2" } }]])
    error_message = "Everybody should be refused with an older TLS than 1.2."
  }

  assert {
    condition     = alltrue([for policy in values(aws_s3_bucket_policy.buckets) : alltrue([for statement in jsondecode(policy.policy).Statement : statement.Effect == "Deny"])])
    error_message = "The bucket policy should allow nobody anything."
  }
}

run "s3_encrypts_with_its_own_key_by_default" {
  command = plan

  assert {
    condition     = alltrue([for encryption in values(aws_s3_bucket_server_side_encryption_configuration.buckets) : one(encryption.rule).apply_server_side_encryption_by_default[0].sse_algorithm == "AES256"])
    error_message = "Both buckets should be encrypted without any setting."
  }
}

run "a_key_of_the_customer_encrypts_both_buckets" {
  command = plan

  variables {
    encryption = { customer_managed = true, key_arn = "arn:aws:kms:us-east-1:123456789012:key/1234" }
  }

  assert {
    condition     = alltrue([for encryption in values(aws_s3_bucket_server_side_encryption_configuration.buckets) : one(encryption.rule).apply_server_side_encryption_by_default[0].sse_algorithm == "aws:kms" && one(encryption.rule).apply_server_side_encryption_by_default[0].kms_master_key_id == var.encryption.key_arn && one(encryption.rule).bucket_key_enabled])
    error_message = "Both buckets should use the key, through a bucket key."
  }
}

run "a_plan_knows_the_buckets" {
  command = plan

  assert {
    condition     = jsonencode(output.bucket) == jsonencode({ name = "auditlake-events-123456789012", arn = "arn:aws:s3:::auditlake-events-123456789012", events_prefix = "events/", errors_prefix = "errors/", raw_prefix = null })
    error_message = "The bucket should be composed, not computed."
  }
}

run "only_the_stream_writes_and_nobody_deletes" {
  command = plan

  assert {
    condition = [for statement in jsondecode(aws_s3_bucket_policy.buckets["events"].policy).Statement : {
      action = statement.Action, resource = statement.Resource, condition = statement.Condition
      } if statement.Sid == "OnlyTheStreamWrites"] == [{
      action    = "s3:PutObject"
      resource  = "arn:aws:s3:::auditlake-events-123456789012/*"
      condition = { ArnNotEquals = { "aws:PrincipalArn" = "arn:aws:iam::123456789012:role/auditlake-events" } }
    }]
    error_message = "Everybody but the stream's role should be refused to write."
  }

  assert {
    condition = [for statement in jsondecode(aws_s3_bucket_policy.buckets["events"].policy).Statement : statement.Action
      if statement.Sid == "NobodyDeletes" && statement.Resource == "arn:aws:s3:::auditlake-events-123456789012/*" && !can(statement.Condition)
    ] == [["s3:DeleteObject", "s3:DeleteObjectVersion", "s3:BypassGovernanceRetention"]]
    error_message = "Nobody should delete a version, hide it behind a marker or pass its retention by."
  }

  assert {
    condition = [for statement in jsondecode(aws_s3_bucket_policy.buckets["events"].policy).Statement : statement.Action
      if statement.Sid == "NobodyReplicatesInto" && statement.Effect == "Deny" && statement.Resource == "arn:aws:s3:::auditlake-events-123456789012/*" && !can(statement.Condition)
    ] == [["s3:ReplicateObject", "s3:ReplicateDelete", "s3:ReplicateTags"]]
    error_message = "No other bucket should be replicated into the bucket of events."
  }

  assert {
    condition     = [for statement in jsondecode(aws_s3_bucket_policy.buckets["results"].policy).Statement : statement.Sid] == ["OnlyTls", "OnlyTls12"]
    error_message = "Results should be written and deleted by whom IAM lets."
  }
}

run "a_writer_cannot_choose_a_shorter_retention" {
  command = plan

  variables {
    object_lock = { enabled = true, mode = "COMPLIANCE", days = null, years = 7 }
  }

  assert {
    condition = [for statement in jsondecode(aws_s3_bucket_policy.buckets["events"].policy).Statement : statement.Condition
      if statement.Sid == "NoShorterRetention" && statement.Action == "s3:PutObject"
    ] == [{ NumericLessThan = { "s3:object-lock-remaining-retention-days" = "2554" } }]
    error_message = "An object with less than 7 years of retention, but for a day begun, should be refused."
  }
}

run "without_a_lock_there_is_no_least_retention" {
  command = plan

  variables {
    object_lock = { enabled = false, mode = "GOVERNANCE", days = null, years = null }
  }

  assert {
    condition     = !strcontains(aws_s3_bucket_policy.buckets["events"].policy, "object-lock-remaining-retention-days")
    error_message = "Where nothing is retained, no retention should be asked for."
  }
}

run "no_other_key_is_taken" {
  command = plan

  variables {
    encryption = { customer_managed = true, key_arn = "arn:aws:kms:us-east-1:123456789012:key/1234" }
  }

  assert {
    condition = [for statement in jsondecode(aws_s3_bucket_policy.buckets["events"].policy).Statement : statement.Condition if statement.Sid == "NoOtherKey"] == [{
      Null            = { "s3:x-amz-server-side-encryption-aws-kms-key-id" = "false" }
      StringNotEquals = { "s3:x-amz-server-side-encryption-aws-kms-key-id" = "arn:aws:kms:us-east-1:123456789012:key/1234" }
    }]
    error_message = "An object that names another key should be refused; one that names none gets the bucket's."
  }
}

run "only_administrators_change_the_bucket" {
  command = plan

  variables {
    administrator_arns = ["arn:aws:iam::123456789012:role/audit-administrator"]
  }

  assert {
    condition = [for statement in jsondecode(aws_s3_bucket_policy.buckets["events"].policy).Statement : statement.Condition
      if statement.Sid == "OnlyAdministratorsChangeTheBucket" && length(setsubtract([
        "s3:PutBucketPolicy", "s3:DeleteBucketPolicy", "s3:PutBucketVersioning", "s3:PutLifecycleConfiguration", "s3:PutBucketObjectLockConfiguration",
      ], flatten([statement.Action]))) == 0
    ] == [{ ArnNotLike = { "aws:PrincipalArn" = ["arn:aws:iam::123456789012:role/audit-administrator"] } }]
    error_message = "Policy, versioning, lifecycle and lock should be the administrators' alone."
  }
}

run "nobody_reads_from_outside_by_default" {
  command = plan

  assert {
    condition     = !strcontains(aws_s3_bucket_policy.buckets["events"].policy, "Subscribers")
    error_message = "Without a subscription the policy should allow nobody anything."
  }
}

run "a_subscriber_reads_events_and_nothing_else" {
  command = plan

  variables {
    reader_account_ids = ["210987654321"]
  }

  assert {
    condition = {
      for statement in jsondecode(aws_s3_bucket_policy.buckets["events"].policy).Statement : statement.Sid => statement.Action if statement.Effect == "Allow"
    } == { SubscribersRead = "s3:GetObject", SubscribersList = "s3:ListBucket", SubscribersLocate = "s3:GetBucketLocation" }
    error_message = "A subscriber should read, list and locate."
  }

  assert {
    condition = alltrue([
      for statement in jsondecode(aws_s3_bucket_policy.buckets["events"].policy).Statement :
      statement.Principal.AWS == ["arn:aws:iam::210987654321:root"] if statement.Effect == "Allow"
    ])
    error_message = "Only the given account should be let in."
  }

  assert {
    condition     = one([for statement in jsondecode(aws_s3_bucket_policy.buckets["events"].policy).Statement : statement.Resource if statement.Sid == "SubscribersRead"]) == "arn:aws:s3:::auditlake-events-123456789012/events/*"
    error_message = "What failed, under errors/, is not for subscribers."
  }
}

run "raw_records_are_archived_as_events_are" {
  command = plan

  variables {
    raw_backup = true
  }

  assert {
    condition     = { for rule in aws_s3_bucket_lifecycle_configuration.events.rule : rule.id => rule.filter[0].prefix if startswith(rule.id, "archive") } == { archive = "events/", archive-raw = "raw/" }
    error_message = "Both prefixes should move."
  }

  assert {
    condition     = output.bucket.raw_prefix == "raw/"
    error_message = "The stream should learn the prefix."
  }
}

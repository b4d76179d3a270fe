mock_provider "aws" {}

variables {
  bucket          = "auditlake-copies"
  region          = "eu-west-1"
  source_role_arn = "arn:aws:iam::123456789012:role/auditlake-replication"
}

run "copies_are_locked_versioned_and_closed" {
  command = plan

  assert {
    condition     = aws_s3_bucket.copies.object_lock_enabled && aws_s3_bucket_versioning.copies.versioning_configuration[0].status == "Enabled" && aws_s3_bucket_object_lock_configuration.copies.rule[0].default_retention[0].days == 365
    error_message = "The copy should be locked as the original is."
  }

  assert {
    condition     = aws_s3_bucket_public_access_block.copies.block_public_policy && aws_s3_bucket_public_access_block.copies.restrict_public_buckets
    error_message = "The copy should be closed to the public."
  }
}

run "only_the_stack_copies_and_nobody_deletes" {
  command = plan

  assert {
    condition = toset([for statement in jsondecode(aws_s3_bucket_policy.copies.policy).Statement : statement.Sid if statement.Effect == "Deny"]) == toset([
      "OnlyTls", "OnlyTls12", "OnlyTheCopierCopies", "NobodyWritesOrDeletes",
    ])
    error_message = "The policy should close every other way to write, and all ways to delete."
  }

  assert {
    condition     = one([for statement in jsondecode(aws_s3_bucket_policy.copies.policy).Statement : statement.Condition.ArnEquals["aws:PrincipalArn"] if statement.Sid == "TheStackCopies"]) == "arn:aws:iam::123456789012:role/auditlake-replication"
    error_message = "The policy should let the role of the stack copy."
  }
}

run "a_key_of_the_region_encrypts_the_copies" {
  command = plan

  variables {
    encryption  = { kms_key_arn = "arn:aws:kms:eu-west-1:123456789012:key/copy" }
    object_lock = { mode = "COMPLIANCE", years = 7 }
  }

  assert {
    condition     = one(aws_s3_bucket_server_side_encryption_configuration.copies.rule).apply_server_side_encryption_by_default[0].kms_master_key_id == "arn:aws:kms:eu-west-1:123456789012:key/copy"
    error_message = "The given key should encrypt."
  }

  assert {
    condition     = aws_s3_bucket_object_lock_configuration.copies.rule[0].default_retention[0].years == 7 && aws_s3_bucket_object_lock_configuration.copies.rule[0].default_retention[0].days == null
    error_message = "The retention should be the given one."
  }
}

run "a_key_is_named_by_its_arn" {
  command = plan

  variables {
    encryption = { kms_key_arn = "alias/copies" }
  }

  expect_failures = [var.encryption]
}

run "a_bucket_has_a_bucket_name" {
  command = plan

  variables {
    bucket = "Copies!"
  }

  expect_failures = [var.bucket]
}

run "a_mode_is_one_of_two" {
  command = plan

  variables {
    object_lock = { mode = "NONE" }
  }

  expect_failures = [var.object_lock]
}

run "a_retention_is_days_or_years" {
  command = plan

  variables {
    object_lock = { days = 1, years = 1 }
  }

  expect_failures = [var.object_lock]
}

run "a_retention_is_at_least_a_day" {
  command = plan

  variables {
    object_lock = { days = 0 }
  }

  expect_failures = [var.object_lock]
}

run "a_retention_is_at_least_a_year" {
  command = plan

  variables {
    object_lock = { mode = "COMPLIANCE", years = 0 }
  }

  expect_failures = [var.object_lock]
}

run "a_retention_is_whole_years" {
  command = plan

  variables {
    object_lock = { years = 1.5 }
  }

  expect_failures = [var.object_lock]
}

run "a_retention_ends_within_100_years" {
  command = plan

  variables {
    object_lock = { years = 101 }
  }

  expect_failures = [var.object_lock]
}

run "a_retention_ends_within_36500_days" {
  command = plan

  variables {
    object_lock = { days = 36501 }
  }

  expect_failures = [var.object_lock]
}

run "the_copier_is_one_role" {
  command = plan

  variables {
    source_role_arn = "arn:aws:iam::123456789012:role/*"
  }

  expect_failures = [var.source_role_arn]
}

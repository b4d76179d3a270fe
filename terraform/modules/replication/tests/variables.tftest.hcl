mock_provider "aws" {}

variables {
  name        = "auditlake"
  account     = { id = "123456789012", region = "us-east-1", partition = "aws" }
  bucket      = { name = "auditlake-events-123456789012", arn = "arn:aws:s3:::auditlake-events-123456789012" }
  encryption  = { customer_managed = false, key_arn = null }
  monitoring  = { topic_arn = null, runbook_url = "docs/runbook.md" }
  replication = { bucket_arn = "arn:aws:s3:::copies", account_id = null, kms_key_arn = null, storage_class = "STANDARD", time_control = false }
}

run "a_bucket_is_named_by_its_arn" {
  command = plan

  variables {
    replication = { bucket_arn = "copies", account_id = null, kms_key_arn = null, storage_class = "STANDARD", time_control = false }

  }

  expect_failures = [var.replication]
}

run "a_bucket_is_not_copied_into_itself" {
  command = plan

  variables {
    replication = { bucket_arn = "arn:aws:s3:::auditlake-events-123456789012", account_id = null, kms_key_arn = null, storage_class = "STANDARD", time_control = false }

  }

  expect_failures = [var.replication]
}

run "an_account_has_12_digits" {
  command = plan

  variables {
    replication = { bucket_arn = "arn:aws:s3:::copies", account_id = "1234", kms_key_arn = null, storage_class = "STANDARD", time_control = false }

  }

  expect_failures = [var.replication]
}

run "a_key_is_named_by_its_arn" {
  command = plan

  variables {
    replication = { bucket_arn = "arn:aws:s3:::copies", account_id = null, kms_key_arn = "alias/copies", storage_class = "STANDARD", time_control = false }

  }

  expect_failures = [var.replication]
}

run "what_a_key_encrypts_needs_a_key_there" {
  command = plan

  variables {
    replication = { bucket_arn = "arn:aws:s3:::copies", account_id = null, kms_key_arn = null, storage_class = "STANDARD", time_control = false }
    encryption  = { customer_managed = true, key_arn = "arn:aws:kms:us-east-1:123456789012:key/source" }
  }

  expect_failures = [var.replication]
}

run "what_s3s_own_keys_encrypt_takes_no_key_there" {
  command = plan

  variables {
    replication = { bucket_arn = "arn:aws:s3:::copies", account_id = null, kms_key_arn = "arn:aws:kms:eu-west-1:123456789012:key/copy", storage_class = "STANDARD", time_control = false }
  }

  expect_failures = [var.replication]
}

run "a_storage_class_is_one_of_s3" {
  command = plan

  variables {
    replication = { bucket_arn = "arn:aws:s3:::copies", account_id = null, kms_key_arn = null, storage_class = "FROZEN", time_control = false }

  }

  expect_failures = [var.replication]
}

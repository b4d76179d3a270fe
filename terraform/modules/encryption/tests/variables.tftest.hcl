mock_provider "aws" {}

variables {
  name               = "auditlake"
  account            = { id = "123456789012", region = "us-east-1", partition = "aws" }
  administrator_arns = []
  reader_account_ids = []
}

run "mode_is_one_of_two" {
  command = plan

  variables {
    encryption = { mode = "aes", kms_key_arn = null, break_glass_principal_arn = null }
  }

  expect_failures = [var.encryption]
}

run "a_key_needs_the_mode_that_uses_it" {
  command = plan

  variables {
    encryption = { mode = "aws_owned", kms_key_arn = "arn:aws:kms:us-east-1:123456789012:key/1234", break_glass_principal_arn = null }
  }

  expect_failures = [var.encryption]
}

run "a_key_is_no_alias" {
  command = plan

  variables {
    encryption = { mode = "customer_managed", kms_key_arn = "alias/audit", break_glass_principal_arn = null }
  }

  expect_failures = [var.encryption]
}

run "a_key_is_of_the_stacks_region" {
  command = plan

  variables {
    encryption = { mode = "customer_managed", kms_key_arn = "arn:aws:kms:eu-west-1:123456789012:key/1234", break_glass_principal_arn = null }
  }

  expect_failures = [var.encryption]
}

run "break_glass_is_no_guard_without_administrators" {
  command = plan

  variables {
    encryption         = { mode = "customer_managed", kms_key_arn = null, break_glass_principal_arn = "arn:aws:iam::123456789012:role/break-glass" }
    administrator_arns = []
  }

  expect_failures = [var.encryption]
}

run "break_glass_is_for_the_key_of_this_stack" {
  command = plan

  variables {
    encryption = { mode = "customer_managed", kms_key_arn = "arn:aws:kms:us-east-1:123456789012:key/1234", break_glass_principal_arn = "arn:aws:iam::123456789012:role/break-glass" }
  }

  expect_failures = [var.encryption]
}

run "break_glass_is_one_principal" {
  command = plan

  variables {
    encryption = { mode = "customer_managed", kms_key_arn = null, break_glass_principal_arn = "arn:aws:iam::123456789012:role/*" }
  }

  expect_failures = [var.encryption]
}

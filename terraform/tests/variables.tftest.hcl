mock_provider "aws" {}

variables {
  account_id = "123456789012"
}

run "account_id_has_12_digits" {
  command = plan

  variables {
    account_id = "12345"
  }

  expect_failures = [var.account_id]
}

run "administrators_are_roles_or_users_with_a_name" {
  command = plan

  variables {
    administrator_arns = ["arn:aws:iam::123456789012:role/*"]
  }

  expect_failures = [var.administrator_arns]
}

run "name_fits_into_bucket_names" {
  command = plan

  variables {
    name = "Audit_Lake"
  }

  expect_failures = [var.name]
}

run "name_has_at_most_32_characters" {
  command = plan

  variables {
    name = "a23456789012345678901234567890123"
  }

  expect_failures = [var.name]
}

run "region_is_the_code_of_a_region" {
  command = plan

  variables {
    region = "Frankfurt"
  }

  expect_failures = [var.region]
}

run "the_partition_follows_from_the_region" {
  command = plan

  variables {
    region = "us-gov-west-1"
  }

  assert {
    condition     = output.stream.arn == "arn:aws-us-gov:firehose:us-gov-west-1:123456789012:deliverystream/auditlake-events"
    error_message = "ARNs in GovCloud should begin with arn:aws-us-gov."
  }
}

run "the_account_is_asked_for_when_it_is_not_given" {
  command = plan

  variables {
    account_id = null
  }

  override_data {
    target = data.aws_caller_identity.current[0]
    values = { account_id = "210987654321" }
  }

  assert {
    condition     = output.bucket == "auditlake-events-210987654321"
    error_message = "Names should hold the account that AWS answers."
  }
}

run "a_plan_knows_every_name" {
  command = plan

  assert {
    condition = [output.stream.name, output.bucket, output.results_bucket, output.database, output.table, output.view, output.workgroup] == [
      "auditlake-events", "auditlake-events-123456789012", "auditlake-athena-results-123456789012", "audit", "events", "events_deduplicated", "auditlake",
    ]
    error_message = "Names should be composed, not computed."
  }
}

run "the_canary_finds_the_door_open" {
  command = plan

  variables {
    canary     = { enabled = true }
    usage_plan = { clients = ["billing"] }
  }

  expect_failures = [var.canary]
}

run "a_canary_needs_somebody_who_hears_it" {
  command = plan

  variables {
    canary = { enabled = true }
    alarms = { enabled = false }
  }

  expect_failures = [var.canary]
}

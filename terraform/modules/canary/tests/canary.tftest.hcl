mock_provider "aws" {}

variables {
  name                 = "auditlake"
  account              = { id = "123456789012", region = "us-east-1", partition = "aws" }
  api                  = { endpoint = "https://abc.execute-api.us-east-1.amazonaws.com/v1", execution_arn = "arn:aws:execute-api:us-east-1:123456789012:abc", stage = "v1", auth_mode = "iam" }
  audit_types          = ["login"]
  bucket               = { name = "auditlake-events-123456789012", arn = "arn:aws:s3:::auditlake-events-123456789012", events_prefix = "events/" }
  buffering_interval_s = 60
  canary               = { interval_min = 15 }
  canary_zip           = "../../../dist/canary.zip"
  encryption           = { customer_managed = false, key_arn = null }
  logs                 = { retention_days = 90 }
  monitoring           = { topic_arn = "arn:aws:sns:us-east-1:123456789012:auditlake-alarms", runbook_url = "docs/runbook.md" }
  results_bucket       = { name = "auditlake-athena-results-123456789012", arn = "arn:aws:s3:::auditlake-athena-results-123456789012" }
  table                = { database = "audit", name = "events", workgroup = "auditlake" }
}

run "it_may_post_events_and_nothing_else_of_the_api" {
  command = plan

  assert {
    condition = jsondecode(aws_iam_role_policy.post.policy).Statement == [{
      Effect   = "Allow"
      Action   = "execute-api:Invoke"
      Resource = "arn:aws:execute-api:us-east-1:123456789012:abc/v1/POST/events"
    }]
    error_message = "The canary should be allowed one method of one API."
  }
}

run "it_reads_the_partition_that_its_events_fall_into" {
  command = plan

  assert {
    condition     = aws_lambda_function.canary.environment[0].variables["AUDIT_TYPE"] == "other"
    error_message = "A type that is not listed falls into other."
  }

  assert {
    condition     = strcontains(aws_iam_role_policy.query.policy, "arn:aws:s3:::auditlake-events-123456789012/events/audit_type=other/*")
    error_message = "The canary should read no other events."
  }
}

run "it_follows_the_list_of_types" {
  command = plan

  variables {
    audit_types = ["login", "auditlake"]
  }

  assert {
    condition     = aws_lambda_function.canary.environment[0].variables["AUDIT_TYPE"] == "auditlake"
    error_message = "The part before the dot is listed, so it is the partition."
  }
}

run "it_runs_by_its_schedule_and_nobody_elses" {
  command = plan

  assert {
    condition     = aws_cloudwatch_event_rule.canary.schedule_expression == "rate(15 minutes)" && aws_lambda_permission.canary.source_arn == "arn:aws:events:us-east-1:123456789012:rule/auditlake-canary"
    error_message = "Only the rule should invoke the canary."
  }

  assert {
    condition     = aws_lambda_function.canary.environment[0].variables["INTERVAL_S"] == "900"
    error_message = "The function should count in the intervals of its schedule."
  }
}

run "its_absence_is_an_alarm" {
  command = plan

  assert {
    condition     = aws_cloudwatch_metric_alarm.absent[0].treat_missing_data == "breaching" && aws_cloudwatch_metric_alarm.absent[0].period == 900 && aws_cloudwatch_metric_alarm.absent[0].evaluation_periods == 3
    error_message = "Silence should ring, after the runs that cannot find anything yet."
  }

  assert {
    condition     = endswith(aws_cloudwatch_metric_alarm.absent[0].alarm_description, " docs/runbook.md#canary-absent")
    error_message = "The alarm should name its section of the runbook."
  }
}

run "without_a_topic_there_is_no_alarm" {
  command = plan

  variables {
    monitoring = { topic_arn = null, runbook_url = "docs/runbook.md" }
  }

  assert {
    condition     = length(aws_cloudwatch_metric_alarm.absent) == 0
    error_message = "Alarms that go nowhere should not be made."
  }
}

run "a_key_of_the_customer_is_used_through_s3" {
  command = plan

  variables {
    encryption = { customer_managed = true, key_arn = "arn:aws:kms:us-east-1:123456789012:key/1234" }
  }

  assert {
    condition = [for statement in jsondecode(aws_iam_role_policy.query.policy).Statement : statement.Condition
    if statement.Resource == "arn:aws:kms:us-east-1:123456789012:key/1234"] == [{ StringLike = { "kms:ViaService" = "s3.us-east-1.amazonaws.com*" } }]
    error_message = "The canary should decrypt what S3 hands it, nothing else."
  }
}

run "its_log_group_forgets" {
  command = plan

  assert {
    condition     = aws_cloudwatch_log_group.canary.retention_in_days == var.logs.retention_days
    error_message = "Every log group should have the retention of the variable."
  }
}

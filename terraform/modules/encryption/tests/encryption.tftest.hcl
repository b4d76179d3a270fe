mock_provider "aws" {}

variables {
  name               = "auditlake"
  account            = { id = "123456789012", region = "us-east-1", partition = "aws" }
  administrator_arns = []
  reader_account_ids = []
  encryption         = { mode = "customer_managed", kms_key_arn = null, break_glass_principal_arn = null }
}

run "by_choice_there_is_no_key" {
  command = plan

  variables {
    encryption = { mode = "aws_owned", kms_key_arn = null, break_glass_principal_arn = null }
  }

  assert {
    condition     = length(aws_kms_key.events) == 0 && !output.encryption.customer_managed && output.encryption.key_arn == null
    error_message = "Keys that AWS owns should need none of ours."
  }
}

run "the_key_rotates_and_takes_30_days_to_go" {
  command = plan

  assert {
    condition     = aws_kms_key.events[0].enable_key_rotation && aws_kms_key.events[0].deletion_window_in_days == 30
    error_message = "The key should rotate each year and be deleted after 30 days at the earliest."
  }

  assert {
    condition     = aws_kms_alias.events[0].name == "alias/auditlake"
    error_message = "People should find the key by the name of the stack."
  }
}

run "nobody_destroys_the_key" {
  command = plan

  assert {
    condition = [
      for statement in jsondecode(aws_kms_key.events[0].policy).Statement : statement.Action
      if statement.Effect == "Deny" && statement.Principal == "*" && !can(statement.Condition)
    ] == [["kms:ScheduleKeyDeletion", "kms:DisableKey", "kms:DeleteImportedKeyMaterial"]]
    error_message = "Without a break-glass principal, deletion should be denied to everybody."
  }
}

run "only_the_break_glass_principal_destroys_the_key" {
  command = plan

  variables {
    encryption         = { mode = "customer_managed", kms_key_arn = null, break_glass_principal_arn = "arn:aws:iam::123456789012:role/break-glass" }
    administrator_arns = ["arn:aws:iam::123456789012:role/audit-administrator"]
  }

  assert {
    condition = [
      for statement in jsondecode(aws_kms_key.events[0].policy).Statement : statement.Condition
      if statement.Sid == "NobodyDestroysTheKey"
    ] == [{ ArnNotEquals = { "aws:PrincipalArn" = "arn:aws:iam::123456789012:role/break-glass" } }]
    error_message = "Deletion should be denied to everybody but the break-glass principal."
  }
}

run "only_administrators_change_the_policy" {
  command = plan

  variables {
    administrator_arns = ["arn:aws:iam::123456789012:role/audit-*"]
  }

  assert {
    condition = [
      for statement in jsondecode(aws_kms_key.events[0].policy).Statement : [statement.Effect, statement.Action, statement.Condition.ArnNotLike["aws:PrincipalArn"]]
      if statement.Sid == "OnlyAdministratorsChangeThePolicy"
    ] == [["Deny", "kms:PutKeyPolicy", ["arn:aws:iam::123456789012:role/audit-*"]]]
    error_message = "Who is no administrator should not be able to change the policy that guards the key."
  }
}

run "logs_and_alarms_of_this_account_use_the_key" {
  command = plan

  assert {
    condition = {
      for statement in jsondecode(aws_kms_key.events[0].policy).Statement : statement.Principal.Service => statement.Condition
      if can(statement.Principal.Service)
      } == {
      "logs.us-east-1.amazonaws.com" = { ArnLike = { "kms:EncryptionContext:aws:logs:arn" = "arn:aws:logs:us-east-1:123456789012:log-group:*" } }
      "cloudwatch.amazonaws.com"     = { StringEquals = { "aws:SourceAccount" = "123456789012" } }
    }
    error_message = "Services should use the key for this account alone."
  }
}

run "a_key_that_exists_is_used_as_it_is" {
  command = plan

  variables {
    encryption = { mode = "customer_managed", kms_key_arn = "arn:aws:kms:us-east-1:123456789012:key/1234", break_glass_principal_arn = null }
  }

  assert {
    condition     = length(aws_kms_key.events) == 0 && output.encryption == { customer_managed = true, key_arn = "arn:aws:kms:us-east-1:123456789012:key/1234" }
    error_message = "A given key should be used, and none made."
  }
}

run "a_subscriber_decrypts_what_it_reads_from_the_bucket" {
  command = plan

  variables {
    encryption         = { mode = "customer_managed", kms_key_arn = null, break_glass_principal_arn = null }
    reader_account_ids = ["210987654321"]
  }

  assert {
    condition = [
      for statement in jsondecode(aws_kms_key.events[0].policy).Statement : [statement.Action, statement.Principal.AWS, statement.Condition.StringLike["kms:ViaService"]] if statement.Sid == "SubscribersDecrypt"
    ] == [["kms:Decrypt", ["arn:aws:iam::210987654321:root"], "s3.us-east-1.amazonaws.com*"]]
    error_message = "A subscriber should decrypt, through S3 only."
  }
}

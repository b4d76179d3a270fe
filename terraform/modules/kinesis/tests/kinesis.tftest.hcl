mock_provider "aws" {}

variables {
  encryption     = { customer_managed = false, key_arn = null }
  name           = "auditlake"
  account        = { id = "123456789012", region = "us-east-1", partition = "aws" }
  kinesis_source = { stream_mode = "ON_DEMAND", shard_count = null, retention_hours = 168 }
}

run "on_demand_has_no_shards_of_its_own" {
  command = plan

  assert {
    condition     = aws_kinesis_stream.source.stream_mode_details[0].stream_mode == "ON_DEMAND" && aws_kinesis_stream.source.shard_count == null
    error_message = "AWS should decide about shards."
  }

  assert {
    condition     = aws_kinesis_stream.source.retention_period == 168
    error_message = "Records should stay for a week."
  }
}

run "a_key_that_aws_manages_encrypts_by_default" {
  command = plan

  assert {
    condition     = aws_kinesis_stream.source.encryption_type == "KMS" && aws_kinesis_stream.source.kms_key_id == "alias/aws/kinesis"
    error_message = "The data stream should be encrypted without any setting."
  }
}

run "a_key_of_the_customer_encrypts" {
  command = plan

  variables {
    encryption = { customer_managed = true, key_arn = "arn:aws:kms:us-east-1:123456789012:key/1234" }
  }

  assert {
    condition     = aws_kinesis_stream.source.kms_key_id == "arn:aws:kms:us-east-1:123456789012:key/1234"
    error_message = "The data stream should be encrypted with the customer's key."
  }
}

run "provisioned_has_its_shards" {
  command = plan

  variables {
    kinesis_source = { stream_mode = "PROVISIONED", shard_count = 3, retention_hours = 24 }
  }

  assert {
    condition     = aws_kinesis_stream.source.shard_count == 3 && aws_kinesis_stream.source.stream_mode_details[0].stream_mode == "PROVISIONED"
    error_message = "There should be three shards."
  }
}

run "the_output_is_known_before_the_apply" {
  command = plan

  assert {
    condition     = output.stream == { name = "auditlake-source", arn = "arn:aws:kinesis:us-east-1:123456789012:stream/auditlake-source", retention_hours = 168 }
    error_message = "Name and ARN should be composed."
  }
}

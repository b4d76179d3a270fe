mock_provider "aws" {}

variables {
  account_id = "123456789012"
}

run "without_kinesis_source_there_is_no_data_stream" {
  command = plan

  assert {
    condition     = output.kinesis_stream == null && length(module.kinesis) == 0
    error_message = "A data stream should be made only for kinesis_source."
  }
}

run "a_data_stream_before_the_delivery_stream_is_known_in_the_plan" {
  command = plan

  variables {
    kinesis_source = {}
  }

  assert {
    condition     = output.kinesis_stream.arn == "arn:aws:kinesis:us-east-1:123456789012:stream/${output.kinesis_stream.name}"
    error_message = "The data stream's name and ARN should be composed, not computed."
  }

  assert {
    condition     = output.stream.name == "auditlake-events"
    error_message = "The delivery stream should keep its name behind a data stream."
  }
}

mock_provider "aws" {}

variables {
  encryption   = { customer_managed = false, key_arn = null }
  name         = "auditlake"
  account      = { id = "123456789012", region = "us-east-1", partition = "aws" }
  stream       = { name = "auditlake-events", arn = "arn:aws:firehose:us-east-1:123456789012:deliverystream/auditlake-events" }
  auth         = { mode = "iam", cognito_user_pool_arns = [], cognito_scopes = [], jwt = null }
  ingest       = { mode = "direct", packing = true, rate_limit = 500, burst_limit = 500, minimum_compression_size = 1024 }
  logs         = { retention_days = 90, own_api_gateway_settings = false }
  receiver_zip = "versions.tf" # any file that exists

  access         = { account_ids = [], cidrs = [], vpc_endpoint_ids = [] }
  authorizer_zip = "versions.tf"
  domain         = null
  usage_plan     = null
}

run "one_event_goes_straight_into_the_stream" {
  command = plan

  assert {
    condition     = jsondecode(aws_api_gateway_rest_api.events.body).paths["/events"].post["x-amazon-apigateway-integration"].uri == "arn:aws:apigateway:us-east-1:firehose:action/PutRecord"
    error_message = "POST /events should be integrated with firehose:PutRecord."
  }

  assert {
    condition     = strcontains(jsondecode(aws_api_gateway_rest_api.events.body).paths["/events"].post["x-amazon-apigateway-integration"].requestTemplates["application/json"], "\"DeliveryStreamName\": \"auditlake-events\"")
    error_message = "The mapping template should name the stream."
  }

  assert {
    condition     = jsondecode(aws_api_gateway_rest_api.events.body).paths["/events"].post["x-amazon-apigateway-integration"].credentials == "arn:aws:iam::123456789012:role/auditlake-api"
    error_message = "API Gateway should put records as the role of this stack."
  }

  assert {
    condition     = jsondecode(aws_api_gateway_rest_api.events.body).paths["/events"].post["x-amazon-apigateway-request-validator"] == "body"
    error_message = "API Gateway should validate the body."
  }
}

run "batches_go_to_the_receiver" {
  command = plan

  assert {
    condition     = endswith(jsondecode(aws_api_gateway_rest_api.events.body).paths["/events/batch"].post["x-amazon-apigateway-integration"].uri, "function:auditlake-receiver/invocations")
    error_message = "POST /events/batch should be integrated with the receiver."
  }

  assert {
    condition     = keys(aws_lambda_permission.receiver) == ["/events/batch"]
    error_message = "API Gateway should be allowed to invoke the receiver for batches only."
  }
}

run "receiver_mode_routes_single_events_to_the_receiver_without_the_api_validator" {
  command = plan

  variables {
    ingest = { mode = "receiver", packing = false, rate_limit = 500, burst_limit = 500, minimum_compression_size = 1024 }
  }

  assert {
    condition     = jsondecode(aws_api_gateway_rest_api.events.body).paths["/events"].post["x-amazon-apigateway-integration"] == jsondecode(aws_api_gateway_rest_api.events.body).paths["/events/batch"].post["x-amazon-apigateway-integration"]
    error_message = "POST /events should have the integration of POST /events/batch."
  }

  assert {
    condition     = !contains(keys(jsondecode(aws_api_gateway_rest_api.events.body).paths["/events"].post), "x-amazon-apigateway-request-validator")
    error_message = "The receiver should validate, not API Gateway."
  }

  assert {
    condition     = keys(aws_lambda_permission.receiver) == ["/events", "/events/batch"]
    error_message = "API Gateway should be allowed to invoke the receiver for both routes."
  }

  assert {
    condition     = length(aws_iam_role.api) == 0
    error_message = "Nobody needs the role that puts single records."
  }

  assert {
    condition     = aws_lambda_function.receiver.environment[0].variables.PACKING == "false"
    error_message = "The receiver should be told not to pack."
  }
}

run "cognito_asks_for_a_token_of_the_pool_with_the_scope" {
  command = plan

  variables {
    auth = {
      mode                   = "cognito"
      cognito_user_pool_arns = ["arn:aws:cognito-idp:us-east-1:123456789012:userpool/us-east-1_abcdefghi"]
      cognito_scopes         = ["audit/write"]
      jwt                    = null
    }
  }

  assert {
    condition     = jsondecode(aws_api_gateway_rest_api.events.body).paths["/events"].post.security == [{ cognito = ["audit/write"] }]
    error_message = "POST /events should ask for the scope."
  }

  assert {
    condition     = jsondecode(aws_api_gateway_rest_api.events.body).components.securitySchemes.cognito["x-amazon-apigateway-authorizer"].providerARNs == ["arn:aws:cognito-idp:us-east-1:123456789012:userpool/us-east-1_abcdefghi"]
    error_message = "The authorizer should name the pool."
  }
}

run "a_changed_body_makes_a_new_deployment_before_the_old_one_goes" {
  command = plan

  assert {
    condition     = aws_api_gateway_deployment.events.triggers.body == sha1(aws_api_gateway_rest_api.events.body)
    error_message = "The deployment should depend on the body."
  }
}

run "the_stage_throttles_traces_and_never_logs_bodies" {
  command = plan

  assert {
    condition     = aws_api_gateway_stage.v1.xray_tracing_enabled
    error_message = "X-Ray should be on."
  }

  assert {
    condition     = aws_api_gateway_method_settings.all.settings[0].throttling_rate_limit == 500 && aws_api_gateway_method_settings.all.settings[0].throttling_burst_limit == 500
    error_message = "The stage should have the throttles of the variable."
  }

  assert {
    condition     = !aws_api_gateway_method_settings.all.settings[0].data_trace_enabled
    error_message = "Events should not be written into the execution log."
  }

  assert {
    condition     = alltrue([for value in values(jsondecode(aws_api_gateway_stage.v1.access_log_settings[0].format)) : startswith(value, "$context.") && !strcontains(value, "userAgent") && !strcontains(value, "validationErrorString")])
    error_message = "The access log should hold only what the server knows."
  }
}

run "api_gateway_may_only_put_records_into_this_stream" {
  command = plan

  assert {
    condition = jsondecode(aws_iam_role_policy.api[0].policy).Statement == [
      { Effect = "Allow", Action = "firehose:PutRecord", Resource = "arn:aws:firehose:us-east-1:123456789012:deliverystream/auditlake-events" },
    ]
    error_message = "The role of API Gateway should have one permission on one stream."
  }
}

run "the_receiver_may_only_put_batches_into_this_stream_log_and_trace" {
  command = plan

  assert {
    condition = toset(flatten(jsondecode(aws_iam_role_policy.receiver.policy).Statement[*].Action)) == toset([
      "firehose:PutRecordBatch", "logs:CreateLogStream", "logs:PutLogEvents", "xray:PutTraceSegments", "xray:PutTelemetryRecords",
    ])
    error_message = "The receiver should have no other permission."
  }

  assert {
    condition     = jsondecode(aws_iam_role_policy.receiver.policy).Statement[0].Resource == var.stream.arn
    error_message = "The receiver should put into this stream only."
  }
}

run "producers_may_use_the_key_of_an_encrypted_stream" {
  command = plan

  variables {
    encryption = { customer_managed = true, key_arn = "arn:aws:kms:us-east-1:123456789012:key/1234" }
  }

  assert {
    condition = alltrue([
      for policy in [aws_iam_role_policy.api[0].policy, aws_iam_role_policy.receiver.policy] :
      [for statement in jsondecode(policy).Statement : statement.Resource if statement.Action == "kms:GenerateDataKey"] == ["arn:aws:kms:us-east-1:123456789012:key/1234"]
    ])
    error_message = "Both producers should be allowed to use the key."
  }
}

run "the_receiver_gets_its_settings" {
  command = plan

  assert {
    condition = aws_lambda_function.receiver.environment[0].variables == tomap({
      DELIVERY_STREAM_NAME         = "auditlake-events"
      PACKING                      = "true"
      POWERTOOLS_SERVICE_NAME      = "receiver"
      POWERTOOLS_METRICS_NAMESPACE = "auditlake"
      LOG_LEVEL                    = "INFO"
    })
    error_message = "The receiver should find every setting in its environment."
  }

  assert {
    condition     = aws_lambda_function.receiver.runtime == "python3.13" && aws_lambda_function.receiver.architectures == tolist(["arm64"]) && aws_lambda_function.receiver.handler == "lambda_src.receiver.handler.handle"
    error_message = "The receiver should run as build.py packs it."
  }

  assert {
    condition     = aws_lambda_function.receiver.tracing_config[0].mode == "Active"
    error_message = "X-Ray should be on."
  }
}

run "the_account_wide_log_role_stays_alone_by_default" {
  command = plan

  assert {
    condition     = length(aws_api_gateway_account.logs) + length(aws_iam_role.account_logs) == 0
    error_message = "A stack should not take over a setting of the whole account by default."
  }
}

run "the_account_wide_log_role_is_set_when_asked_for" {
  command = plan

  variables {
    logs = { retention_days = 90, own_api_gateway_settings = true }
  }

  assert {
    condition     = length(aws_api_gateway_account.logs) == 1 && aws_iam_role_policy_attachment.account_logs[0].policy_arn == "arn:aws:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs"
    error_message = "The account should get a role that may push to CloudWatch Logs."
  }
}

run "every_log_group_forgets" {
  command = plan

  assert {
    condition     = alltrue([for group in [aws_cloudwatch_log_group.access, aws_cloudwatch_log_group.execution, aws_cloudwatch_log_group.receiver] : group.retention_in_days == 90])
    error_message = "Every log group should have the retention of the variable."
  }
}

run "with_a_data_stream_events_go_there" {
  command = plan

  variables {
    kinesis_stream = { name = "auditlake-source", arn = "arn:aws:kinesis:us-east-1:123456789012:stream/auditlake-source", retention_hours = 168 }
  }

  assert {
    condition     = local.post_event["x-amazon-apigateway-integration"].uri == "arn:aws:apigateway:us-east-1:kinesis:action/PutRecord" && strcontains(local.post_event["x-amazon-apigateway-integration"].requestTemplates["application/json"], "{\"StreamName\": \"auditlake-source\", \"Data\": \"$util.base64Encode($envelope)\", \"PartitionKey\": \"$id\"}")
    error_message = "One event should go straight into the data stream, spread by the id that the server gives."
  }

  assert {
    condition     = jsondecode(aws_iam_role_policy.api[0].policy).Statement[*].Action == ["kinesis:PutRecord"] && jsondecode(aws_iam_role_policy.receiver.policy).Statement[0].Action == "kinesis:PutRecords"
    error_message = "The API and the receiver should put to the data stream, and not to the delivery stream."
  }

  assert {
    condition     = aws_lambda_function.receiver.environment[0].variables.KINESIS_STREAM_NAME == "auditlake-source" && !contains(keys(aws_lambda_function.receiver.environment[0].variables), "DELIVERY_STREAM_NAME")
    error_message = "The receiver should be told the data stream only."
  }
}

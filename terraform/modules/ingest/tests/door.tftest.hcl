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

run "by_default_there_is_none_of_it" {
  command = plan

  assert {
    condition = sum([for made in [
      aws_lambda_function.authorizer, aws_iam_role.authorizer, aws_api_gateway_domain_name.events, aws_api_gateway_usage_plan.clients,
      aws_api_gateway_api_key.clients,
    ] : length(made)]) == 0
    error_message = "A stack should have no door that nobody asked for."
  }

  assert {
    condition     = output.authorizer == null
    error_message = "Without an authorizer there should be nothing to watch."
  }

  assert {
    condition     = !contains(keys(jsondecode(aws_api_gateway_rest_api.events.body)), "x-amazon-apigateway-policy") && !aws_api_gateway_rest_api.events.disable_execute_api_endpoint
    error_message = "A stack should have no resource policy, and its default endpoint, unless told otherwise."
  }
}

run "every_method_but_health_asks_who_calls" {
  command = plan

  assert {
    condition = merge([for path, methods in jsondecode(aws_api_gateway_rest_api.events.body).paths : {
      for method, operation in methods : "${upper(method)} ${path}" => operation.security if can(operation.security)
    }]...) == { "GET /health" = [], "POST /events" = [{ sigv4 = [] }], "POST /events/batch" = [{ sigv4 = [] }] }
    error_message = "Every method but GET /health should ask for a signature."
  }
}

run "the_document_holds_no_scheme_that_nobody_asks_for" {
  command = plan

  assert {
    condition     = keys(jsondecode(aws_api_gateway_rest_api.events.body).components.securitySchemes) == ["sigv4"]
    error_message = "Only the scheme of auth.mode should be there."
  }
}

run "jwt_asks_the_authorizer_for_every_event" {
  command = plan

  variables {
    auth = {
      mode                   = "jwt"
      cognito_user_pool_arns = []
      cognito_scopes         = []
      jwt = {
        issuer          = "https://issuer.example/"
        audiences       = ["audit"]
        jwks_url        = null
        required_claims = { tenant = "one" }
        required_scopes = ["audit/write"]
        principal_claim = "sub"
        clock_skew_s    = 60
        result_ttl_s    = 300
      }
    }
  }

  assert {
    condition     = [for path in ["/events", "/events/batch"] : jsondecode(aws_api_gateway_rest_api.events.body).paths[path].post.security] == [[{ jwt = [] }], [{ jwt = [] }]]
    error_message = "Both routes should ask for a token."
  }

  assert {
    condition = alltrue([for name, value in {
      type                         = "token"
      authorizerUri                = "arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/arn:aws:lambda:us-east-1:123456789012:function:auditlake-authorizer/invocations"
      authorizerResultTtlInSeconds = 300
    } : jsondecode(aws_api_gateway_rest_api.events.body).components.securitySchemes.jwt["x-amazon-apigateway-authorizer"][name] == value])
    error_message = "The authorizer should be the function of this stack, and its answer be kept."
  }

  assert {
    condition = aws_lambda_function.authorizer["this"].environment[0].variables == tomap({
      ISSUER                       = "https://issuer.example/"
      AUDIENCES                    = "[\"audit\"]"
      JWKS_URL                     = ""
      REQUIRED_CLAIMS              = "{\"tenant\":\"one\"}"
      REQUIRED_SCOPES              = "[\"audit/write\"]"
      PRINCIPAL_CLAIM              = "sub"
      CLOCK_SKEW_S                 = "60"
      POWERTOOLS_SERVICE_NAME      = "authorizer"
      POWERTOOLS_METRICS_NAMESPACE = var.name
      LOG_LEVEL                    = "INFO"
    })
    error_message = "The authorizer should find every setting in its environment."
  }

  assert {
    condition     = flatten(jsondecode(aws_iam_role_policy.authorizer["this"].policy).Statement[*].Action) == ["logs:CreateLogStream", "logs:PutLogEvents"]
    error_message = "The authorizer should be allowed to log and nothing else."
  }

  assert {
    condition     = aws_lambda_permission.authorizer["this"].principal == "apigateway.amazonaws.com" && aws_lambda_function.authorizer["this"].runtime == "python3.13" && aws_lambda_function.authorizer["this"].architectures == tolist(["arm64"])
    error_message = "API Gateway should be allowed to ask the authorizer, which runs as build.py packs it."
  }

  assert {
    condition     = aws_cloudwatch_log_group.authorizer["this"].retention_in_days == 90
    error_message = "Its log group should forget."
  }

  assert {
    condition     = output.authorizer == { name = "auditlake-authorizer", timeout_s = 10 }
    error_message = "Who watches the function should learn its name and timeout."
  }
}

run "no_answer_allows_another_origin" {
  command = plan

  assert {
    condition     = !strcontains(lower(aws_api_gateway_rest_api.events.body), "access-control-") && alltrue([for path in values(jsondecode(aws_api_gateway_rest_api.events.body).paths) : !contains(keys(path), "options")])
    error_message = "Events come from services, not from pages: no CORS."
  }
}

run "the_principal_is_a_signature_s_a_token_s_or_a_certificate_s" {
  command = plan

  assert {
    condition = alltrue([for expression in ["identity.userArn", "authorizer.claims.sub", "authorizer.principalId", "identity.clientCert.subjectDN"] :
    strcontains(jsondecode(aws_api_gateway_rest_api.events.body).paths["/events"].post["x-amazon-apigateway-integration"].requestTemplates["application/json"], "$!context.${expression}")])
    error_message = "The mapping template should name the principal, whichever way it was recognised."
  }
}

run "a_domain_serves_the_stage_by_tls_1_2" {
  command = plan

  variables {
    domain = {
      name                      = "audit.example.com"
      certificate_arn           = "arn:aws:acm:us-east-1:123456789012:certificate/1"
      base_path                 = "v1"
      ownership_certificate_arn = null
      mutual_tls                = null
    }
  }

  assert {
    condition     = aws_api_gateway_domain_name.events["this"].security_policy == "TLS_1_2" && aws_api_gateway_base_path_mapping.events["this"].base_path == "v1"
    error_message = "The domain should lead to the stage, by TLS 1.2."
  }

  assert {
    condition     = output.api.endpoint == "https://audit.example.com/v1" && endswith(output.try_it, " https://audit.example.com/v1/events")
    error_message = "The endpoint should be the domain's."
  }

  assert {
    condition     = length(aws_api_gateway_domain_name.events["this"].mutual_tls_authentication) == 0 && !aws_api_gateway_rest_api.events.disable_execute_api_endpoint
    error_message = "Without mutual TLS the default endpoint is as good a door."
  }
}

run "mutual_tls_leaves_no_other_door_open" {
  command = plan

  variables {
    domain = {
      name                      = "audit.example.com"
      certificate_arn           = "arn:aws:acm:us-east-1:123456789012:certificate/1"
      base_path                 = ""
      ownership_certificate_arn = null
      mutual_tls                = { truststore_uri = "s3://trust/store.pem", truststore_version = "abc" }
    }
  }

  assert {
    condition     = aws_api_gateway_domain_name.events["this"].mutual_tls_authentication[0].truststore_uri == "s3://trust/store.pem" && aws_api_gateway_domain_name.events["this"].mutual_tls_authentication[0].truststore_version == "abc"
    error_message = "The domain should ask for a certificate that this version of the truststore vouches for."
  }

  assert {
    condition     = aws_api_gateway_rest_api.events.disable_execute_api_endpoint && jsondecode(aws_api_gateway_rest_api.events.body)["x-amazon-apigateway-endpoint-configuration"] == { disableExecuteApiEndpoint = true }
    error_message = "The default endpoint, which asks for no certificate, should be off, and deployed so."
  }

  assert {
    condition     = jsondecode(aws_api_gateway_rest_api.events.body).paths["/events"].post.security == [{ sigv4 = [] }]
    error_message = "A certificate should not stand in for what auth.mode asks for."
  }
}

run "networks_are_denied_unless_they_are_listed" {
  command = plan

  variables {
    access = { account_ids = ["210987654321"], cidrs = ["203.0.113.0/24"], vpc_endpoint_ids = [] }
  }

  assert {
    condition = [for statement in jsondecode(aws_api_gateway_rest_api.events.body)["x-amazon-apigateway-policy"].Statement : statement.Condition
    if statement.Effect == "Deny" && statement.Principal == "*" && statement.Resource == "execute-api:/*"] == [{ NotIpAddress = { "aws:SourceIp" = ["203.0.113.0/24"] } }]
    error_message = "Every other network should be denied everything."
  }

  assert {
    condition = { for statement in jsondecode(aws_api_gateway_rest_api.events.body)["x-amazon-apigateway-policy"].Statement : statement.Resource => jsonencode(statement.Principal)
    if statement.Effect == "Allow" } == { "execute-api:/v1/POST/*" = jsonencode({ AWS = ["arn:aws:iam::210987654321:root"] }), "execute-api:/v1/GET/health" = jsonencode("*") }
    error_message = "Only the listed account should be let in from outside; an Allow for everybody would let in any signature of any account."
  }
}

run "a_policy_leaves_tokens_to_the_authorizer" {
  command = plan

  variables {
    auth   = { mode = "cognito", cognito_user_pool_arns = ["arn:aws:cognito-idp:us-east-1:123456789012:userpool/us-east-1_abcdefghi"], cognito_scopes = [], jwt = null }
    access = { account_ids = [], cidrs = ["203.0.113.0/24"], vpc_endpoint_ids = [] }
  }

  assert {
    condition     = contains([for statement in jsondecode(aws_api_gateway_rest_api.events.body)["x-amazon-apigateway-policy"].Statement : statement.Resource if statement.Effect == "Allow"], "execute-api:/v1/POST/*")
    error_message = "Who has a token has no AWS principal that a policy could name."
  }
}

run "with_vpc_endpoints_the_api_is_private" {
  command = plan

  variables {
    access = { account_ids = [], cidrs = [], vpc_endpoint_ids = ["vpce-0123456789abcdef0"] }
  }

  assert {
    condition     = aws_api_gateway_rest_api.events.endpoint_configuration[0].types == tolist(["PRIVATE"]) && aws_api_gateway_rest_api.events.endpoint_configuration[0].vpc_endpoint_ids == toset(["vpce-0123456789abcdef0"])
    error_message = "The API should have no address on the internet."
  }

  assert {
    condition     = contains([for statement in jsondecode(aws_api_gateway_rest_api.events.body)["x-amazon-apigateway-policy"].Statement : try(statement.Condition, null)], { StringNotEquals = { "aws:SourceVpce" = ["vpce-0123456789abcdef0"] } })
    error_message = "Every other endpoint should be denied."
  }
}

run "an_api_key_counts_and_does_not_authenticate" {
  command = plan

  variables {
    usage_plan = { clients = ["billing", "shop"], rate_limit = 5, burst_limit = 10, quota = { limit = 1000, period = "DAY" } }
  }

  assert {
    condition     = [for path in ["/events", "/events/batch"] : jsondecode(aws_api_gateway_rest_api.events.body).paths[path].post.security] == [[{ api_key = [], sigv4 = [] }], [{ api_key = [], sigv4 = [] }]]
    error_message = "The key should be asked for besides the signature, never instead."
  }

  assert {
    condition     = aws_api_gateway_usage_plan.clients["this"].throttle_settings[0].rate_limit == 5 && aws_api_gateway_usage_plan.clients["this"].quota_settings[0].limit == 1000 && keys(aws_api_gateway_usage_plan_key.clients) == ["billing", "shop"]
    error_message = "Each client should have a key of the plan."
  }
}

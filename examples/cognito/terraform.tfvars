# Clients that hold a token of a Cognito user pool, e.g. services by the client-credentials grant.
auth = {
  mode                   = "cognito"
  cognito_user_pool_arns = ["arn:aws:cognito-idp:us-east-1:123456789012:userpool/us-east-1_abcdefghi"]
  cognito_scopes         = ["audit/write"]
}

# The role by which API Gateway writes any log is one setting per account and region. A stack that took it over would
# break the logs of every other API when it is destroyed, so it does so only when told to.
resource "aws_iam_role" "account_logs" {
  count = var.logs.own_api_gateway_settings ? 1 : 0

  name        = "${var.name}-api-gateway-logs"
  description = "API Gateway writes the logs of every API of this account and region."
  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "apigateway.amazonaws.com" } }]
  })
}

resource "aws_iam_role_policy_attachment" "account_logs" {
  count = var.logs.own_api_gateway_settings ? 1 : 0

  role       = aws_iam_role.account_logs[0].name
  policy_arn = "arn:${var.account.partition}:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs"
}

resource "aws_api_gateway_account" "logs" {
  count = var.logs.own_api_gateway_settings ? 1 : 0

  cloudwatch_role_arn = aws_iam_role.account_logs[0].arn

  depends_on = [aws_iam_role_policy_attachment.account_logs]
}

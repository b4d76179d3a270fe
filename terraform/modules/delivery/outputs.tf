# Composed, so that a plan knows them; whoever uses them still waits for the stream.
output "stream" {
  description = "The delivery stream's name and ARN."
  value       = { name = local.stream_name, arn = local.stream_arn }
  depends_on  = [aws_kinesis_firehose_delivery_stream.events]
}

# Composed, because the bucket's policy names the role before there is one.
output "role_arn" {
  description = "The role by which the stream writes."
  value       = "arn:${var.account.partition}:iam::${var.account.id}:role/${local.stream_name}"
}

output "transform" {
  description = "The transform function: its name and timeout in seconds."
  value       = { name = local.transform_name, timeout_s = aws_lambda_function.transform.timeout }
}

# Composed, so that a plan knows them; whoever uses them still waits for the stream.
output "stream" {
  description = "The delivery stream's name and ARN."
  value       = { name = local.stream_name, arn = local.stream_arn }
  depends_on  = [aws_kinesis_firehose_delivery_stream.events]
}

resource "aws_cloudwatch_log_group" "transform" {
  name              = "/aws/lambda/${local.transform_name}"
  retention_in_days = var.logs.retention_days
}

# Firehose samples what it logs here when much fails; the objects under errors/ are complete (I2).
resource "aws_cloudwatch_log_group" "stream" {
  name              = "/aws/kinesisfirehose/${local.stream_name}"
  retention_in_days = var.logs.retention_days
}

resource "aws_cloudwatch_log_stream" "stream" {
  name           = "delivery"
  log_group_name = aws_cloudwatch_log_group.stream.name
}

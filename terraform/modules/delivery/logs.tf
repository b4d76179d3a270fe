resource "aws_cloudwatch_log_group" "transform" {
  #checkov:skip=CKV_AWS_158:CloudWatch's own keys by default; encryption.mode customer_managed sets a key

  name              = "/aws/lambda/${local.transform_name}"
  retention_in_days = var.logs.retention_days
  kms_key_id        = var.encryption.key_arn
}

# Firehose samples what it logs here when much fails; the objects under errors/ are complete (I2).
resource "aws_cloudwatch_log_group" "stream" {
  #checkov:skip=CKV_AWS_158:CloudWatch's own keys by default; encryption.mode customer_managed sets a key

  name              = "/aws/kinesisfirehose/${local.stream_name}"
  retention_in_days = var.logs.retention_days
  kms_key_id        = var.encryption.key_arn
}

resource "aws_cloudwatch_log_stream" "stream" {
  name           = "delivery"
  log_group_name = aws_cloudwatch_log_group.stream.name
}

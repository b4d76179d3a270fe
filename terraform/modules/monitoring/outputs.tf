output "alarms" {
  description = "The alarms by the section of docs/runbook.md that says what to do."
  value       = { for key, alarm in aws_cloudwatch_metric_alarm.alarms : key => alarm.alarm_name }
}

output "topic_arn" {
  description = "The SNS topic that alarms go to; subscribe to it whoever is called at night."
  value       = var.alarms.enabled ? local.topic_arn : null
}

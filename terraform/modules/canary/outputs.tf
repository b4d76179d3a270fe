output "canary" {
  description = "What the function and its schedule are called, and the alarm that rings when the canary is silent; null without alarms."
  value       = { name = local.canary_name, alarm = one(aws_cloudwatch_metric_alarm.absent[*].alarm_name) }
}

output "endpoint" {
  description = "The URL of the API; events go to /events, many to /events/batch."
  value       = module.ingest.endpoint
}

output "domain" {
  description = "The API's own domain name and what its DNS record points to, with the zone for an alias record; null without one."
  value       = module.ingest.domain
}

output "api_key_ids" {
  description = "The ids of the clients' API keys; `aws apigateway get-api-key --api-key ID --include-value` shows a key."
  value       = module.ingest.api_key_ids
}

output "try_it" {
  description = "A command that POSTs a first event."
  value       = module.ingest.try_it
}

output "stream" {
  description = "The delivery stream, name and arn, for producers that put to it directly."
  value       = module.delivery.stream
}

output "bucket" {
  description = "The bucket that keeps the events."
  value       = module.storage.bucket.name
}

output "results_bucket" {
  description = "The bucket that keeps Athena's results for a while."
  value       = module.storage.results_bucket.name
}

output "database" {
  description = "The Glue database."
  value       = module.catalog.table.database
}

output "table" {
  description = "The table with one row an accepted event; duplicates share their event_id."
  value       = module.catalog.table.name
}

output "view" {
  description = "The view that shows each event once."
  value       = module.catalog.view
}

output "workgroup" {
  description = "The Athena workgroup with the scan cutoff and the saved queries."
  value       = module.catalog.workgroup
}

output "alarms" {
  description = "The alarms by the section of docs/runbook.md that says what to do."
  value       = module.monitoring.alarms
}

output "alarm_topic" {
  description = "The SNS topic that alarms go to."
  value       = module.monitoring.topic_arn
}

output "replication_role_arn" {
  description = "The role that copies the events, which terraform/replica is told as source_role_arn; null without replication."
  value       = one(module.replication[*].role_arn)
}

output "subscription_ddl" {
  description = "The statement by which a subscribing account makes the table in its own Athena; null without a subscription."
  value       = length(var.subscription.account_ids) == 0 ? null : module.catalog.ddl
}

output "kinesis_stream" {
  description = "The Kinesis data stream, name and ARN, for producers that put to it directly; null without kinesis_source."
  value       = var.kinesis_source == null ? null : { name = module.kinesis[0].stream.name, arn = module.kinesis[0].stream.arn }
}

output "canary" {
  description = "The canary's function and schedule, which share a name, and its alarm; null without a canary."
  value       = one(module.canary[*].canary)
}

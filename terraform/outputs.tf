output "endpoint" {
  description = "The URL of the API; events go to /events, many to /events/batch."
  value       = module.ingest.endpoint
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

# The path in its order: post, validate, deliver -> transform, partition, convert -> store -> query. Before it the key that all
# of it may use, after it what watches it: alarms, and a canary that sings only when asked to.

module "encryption" {
  source = "./modules/encryption"

  name               = var.name
  account            = local.account
  encryption         = var.encryption
  administrator_arns = var.administrator_arns
  reader_account_ids = var.subscription.account_ids
}

module "ingest" {
  source = "./modules/ingest"

  name           = var.name
  account        = local.account
  ingest         = var.ingest
  auth           = var.auth
  access         = var.access
  domain         = var.domain
  usage_plan     = var.usage_plan
  receiver_zip   = "${path.module}/../dist/receiver.zip"
  authorizer_zip = "${path.module}/../dist/authorizer.zip"
  stream         = module.delivery.stream
  kinesis_stream = one(module.kinesis[*].stream)
  logs           = var.logs
  encryption     = module.encryption.encryption
}

module "waf" {
  source = "./modules/waf"
  count  = var.waf == null ? 0 : 1

  name       = var.name
  account    = local.account
  waf        = var.waf
  stage_arn  = module.ingest.stage_arn
  logs       = var.logs
  encryption = module.encryption.encryption
}

module "kinesis" {
  source = "./modules/kinesis"
  count  = var.kinesis_source == null ? 0 : 1

  name           = var.name
  account        = local.account
  kinesis_source = var.kinesis_source
  encryption     = module.encryption.encryption
}

module "delivery" {
  source = "./modules/delivery"

  name           = var.name
  account        = local.account
  buffering      = var.buffering
  audit_types    = var.audit_types
  event_window   = var.event_window
  transform_zip  = "${path.module}/../dist/transform.zip"
  bucket         = module.storage.bucket
  table          = module.catalog.table
  kinesis_stream = one(module.kinesis[*].stream)
  logs           = var.logs
  encryption     = module.encryption.encryption
}

module "storage" {
  source = "./modules/storage"

  name               = var.name
  account            = local.account
  object_lock        = var.object_lock
  lifecycle_days     = merge(var.lifecycle_days, { glacier_ir = var.lifecycle_days.glacier_ir == 0 ? null : var.lifecycle_days.glacier_ir })
  encryption         = module.encryption.encryption
  administrator_arns = var.administrator_arns
  reader_account_ids = var.subscription.account_ids
  writer_role_arn    = module.delivery.role_arn
  raw_backup         = var.raw_backup
}

module "catalog" {
  source = "./modules/catalog"

  name           = var.name
  account        = local.account
  catalog        = var.catalog
  audit_types    = var.audit_types
  glue_dir       = "${path.module}/../glue"
  bucket         = module.storage.bucket
  results_bucket = module.storage.results_bucket
  encryption     = module.encryption.encryption
}

module "monitoring" {
  source = "./modules/monitoring"

  name                 = var.name
  account              = local.account
  alarms               = var.alarms
  buffering_interval_s = var.buffering.interval_s
  api                  = module.ingest.api
  functions            = { receiver = module.ingest.receiver, transform = module.delivery.transform }
  authorizer           = module.ingest.authorizer
  stream               = module.delivery.stream
  kinesis_stream       = one(module.kinesis[*].stream)
  raw_backup           = var.raw_backup
  bucket               = module.storage.bucket
  workgroup            = module.catalog.workgroup
  encryption           = module.encryption.encryption
}

module "canary" {
  source = "./modules/canary"
  count  = var.canary.enabled ? 1 : 0

  name                 = var.name
  account              = local.account
  canary               = var.canary
  canary_zip           = "${path.module}/../dist/canary.zip"
  api                  = module.ingest.api
  audit_types          = var.audit_types
  buffering_interval_s = var.buffering.interval_s
  bucket               = module.storage.bucket
  results_bucket       = module.storage.results_bucket
  table                = merge(module.catalog.table, { workgroup = module.catalog.workgroup })
  encryption           = module.encryption.encryption
  logs                 = var.logs
  monitoring           = { topic_arn = module.monitoring.topic_arn, runbook_url = var.alarms.runbook_url }
}

module "replication" {
  source = "./modules/replication"
  count  = var.replication == null ? 0 : 1

  name        = var.name
  account     = local.account
  replication = var.replication
  bucket      = { name = module.storage.bucket.name, arn = module.storage.bucket.arn }
  encryption  = module.encryption.encryption
  monitoring  = { topic_arn = module.monitoring.topic_arn, runbook_url = var.alarms.runbook_url }
}

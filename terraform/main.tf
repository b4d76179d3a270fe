# The path in its order: post, validate, deliver -> transform, partition, convert -> store -> query.

module "ingest" {
  source = "./modules/ingest"

  name         = var.name
  account      = local.account
  ingest       = var.ingest
  auth         = var.auth
  receiver_zip = "${path.module}/../dist/receiver.zip"
  stream       = module.delivery.stream
  logs         = var.logs
  kms_key_arn  = var.kms_key_arn
}

module "delivery" {
  source = "./modules/delivery"

  name          = var.name
  account       = local.account
  buffering     = var.buffering
  audit_types   = var.audit_types
  event_window  = var.event_window
  transform_zip = "${path.module}/../dist/transform.zip"
  bucket        = module.storage.bucket
  table         = module.catalog.table
  logs          = var.logs
  kms_key_arn   = var.kms_key_arn
}

module "storage" {
  source = "./modules/storage"

  name           = var.name
  account        = local.account
  object_lock    = var.object_lock
  lifecycle_days = var.lifecycle_days
  kms_key_arn    = var.kms_key_arn
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
  kms_key_arn    = var.kms_key_arn
}

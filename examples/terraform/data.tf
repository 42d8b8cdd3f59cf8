# The bucket and the repository, as devkit bootstrap makes them.

resource "aws_s3_bucket" "data" {
  bucket = "${local.name}-${local.account}-${var.region}"
}

resource "aws_s3_bucket_public_access_block" "data" {
  bucket                  = aws_s3_bucket.data.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_server_side_encryption_configuration" "data" {
  bucket = aws_s3_bucket.data.id

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

resource "aws_ecr_repository" "image" {
  name = var.project

  image_scanning_configuration {
    scan_on_push = true
  }
}

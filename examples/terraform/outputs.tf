output "role_arn" {
  description = "[aws] role."
  value       = aws_iam_role.execution.arn
}

output "bucket" {
  description = "[aws] bucket."
  value       = aws_s3_bucket.data.id
}

output "repository_url" {
  description = "Where devkit push pushes the image."
  value       = aws_ecr_repository.image.repository_url
}

output "predict_url" {
  description = "What to ask: curl -d '{\"petal_length\": 0.4, \"petal_width\": 1.4}' URL"
  value       = "${aws_apigatewayv2_api.api.api_endpoint}/predict"
}

output "domain_url" {
  description = "SageMaker Studio."
  value       = one(aws_sagemaker_domain.studio[*].url)
}

# A SageMaker domain with one user, whose notebooks run as the execution role. Apps in it are paid
# for by the hour; this makes none.

resource "aws_sagemaker_domain" "studio" {
  count       = var.vpc == null ? 0 : 1
  domain_name = local.name
  auth_mode   = "IAM"
  vpc_id      = var.vpc.id
  subnet_ids  = var.vpc.subnets

  default_user_settings {
    execution_role = aws_iam_role.execution.arn
  }

  # The home folders of its users; "Retain" keeps them when the domain is destroyed.
  retention_policy {
    home_efs_file_system = "Delete"
  }
}

resource "aws_sagemaker_user_profile" "user" {
  count             = var.vpc == null ? 0 : 1
  domain_id         = aws_sagemaker_domain.studio[0].id
  user_profile_name = var.user

  user_settings {
    execution_role = aws_iam_role.execution.arn
  }
}

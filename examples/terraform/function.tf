# The function in front of the endpoint (examples/lambda), which may ask this endpoint only.

data "aws_iam_policy_document" "lambda" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["lambda.amazonaws.com"]
    }
  }
}

data "aws_iam_policy_document" "function" {
  statement {
    sid     = "Endpoint"
    actions = ["sagemaker:InvokeEndpoint"]
    resources = [
      "arn:${local.partition}:sagemaker:${var.region}:${local.account}:endpoint/${lower(var.endpoint)}",
    ]
  }

  statement {
    sid       = "Logs"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.function.arn}:*"]
  }
}

resource "aws_cloudwatch_log_group" "function" {
  name              = "/aws/lambda/${var.project}"
  retention_in_days = 30
}

resource "aws_iam_role" "function" {
  name               = "${local.name}-function"
  description        = "What the function of the devkit project ${var.project} may do"
  assume_role_policy = data.aws_iam_policy_document.lambda.json
}

resource "aws_iam_role_policy" "function" {
  name   = "devkit"
  role   = aws_iam_role.function.id
  policy = data.aws_iam_policy_document.function.json
}

resource "aws_lambda_function" "function" {
  function_name    = var.project
  role             = aws_iam_role.function.arn
  runtime          = "python3.11"
  architectures    = ["x86_64"]
  handler          = "handler.handler"
  filename         = var.function_archive
  source_code_hash = filebase64sha256(var.function_archive)
  memory_size      = 256
  timeout          = 29 # as long as API Gateway waits

  environment {
    variables = { ENDPOINT_NAME = var.endpoint }
  }

  depends_on = [aws_cloudwatch_log_group.function, aws_iam_role_policy.function]
}

variable "project" {
  description = "[project] name of devkit.toml; all names follow from it, as devkit's own do."
  type        = string
  default     = "iris"

  validation {
    condition     = can(regex("^[a-z0-9](-*[a-z0-9]){1,27}$", var.project))
    error_message = "2 to 28 lower-case letters, digits and dashes."
  }
}

variable "region" {
  description = "Where everything is made."
  type        = string
  default     = "us-east-1"
}

variable "function_archive" {
  description = "What devkit lambda package has made of examples/lambda."
  type        = string
}

variable "endpoint" {
  description = "The SageMaker endpoint that the function asks; devkit deploys it."
  type        = string
  default     = "iris"
}

variable "vpc" {
  description = "The VPC of the SageMaker domain; null makes no domain."
  type = object({
    id      = string
    subnets = list(string)
  })
  default = null
}

variable "user" {
  description = "The user profile in the domain."
  type        = string
  default     = "data-scientist"
}

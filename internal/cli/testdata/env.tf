provider "aws" {
  region                  = "us-east-1"
  access_key              = "test"
  secret_key              = "it's"
  skip_metadata_api_check = true
  s3_use_path_style       = true

  endpoints {
    acm              = "http://127.0.0.1:4566"
    apigateway       = "http://127.0.0.1:4566"
    apigatewayv2     = "http://127.0.0.1:4566"
    appautoscaling   = "http://127.0.0.1:4566"
    cloudformation   = "http://127.0.0.1:4566"
    cloudwatch       = "http://127.0.0.1:4566"
    dynamodb         = "http://127.0.0.1:4566"
    ec2              = "http://127.0.0.1:4566"
    ecr              = "http://127.0.0.1:4566"
    ecs              = "http://127.0.0.1:4566"
    elbv2            = "http://127.0.0.1:4566"
    events           = "http://127.0.0.1:4566"
    iam              = "http://127.0.0.1:4566"
    kms              = "http://127.0.0.1:4566"
    lambda           = "http://127.0.0.1:4566"
    logs             = "http://127.0.0.1:4566"
    route53          = "http://127.0.0.1:4566"
    s3               = "http://127.0.0.1:4566"
    s3control        = "http://127.0.0.1:4566"
    secretsmanager   = "http://127.0.0.1:4566"
    servicediscovery = "http://127.0.0.1:4566"
    sns              = "http://127.0.0.1:4566"
    sqs              = "http://127.0.0.1:4566"
    ssm              = "http://127.0.0.1:4566"
    sts              = "http://127.0.0.1:4566"
  }
}

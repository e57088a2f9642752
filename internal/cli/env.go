package cli

import (
	"fmt"
	"strings"
)

// EnvFormat is the form in which Env prints.
type EnvFormat string

// The forms.
const (
	EnvShell     EnvFormat = "shell"
	EnvTerraform EnvFormat = "terraform"
	EnvJSON      EnvFormat = "json"
)

// Env prints what other tools need to talk to this Neargate.
type Env struct {
	Client *Client
	Screen *Screen
	Format EnvFormat
}

// terraformServices are the names of services in the provider's endpoints block, those that Neargate serves and those that
// real configurations refer to: a call to Neargate that fails is better than one that reaches AWS.
var terraformServices = []string{
	"acm", "apigateway", "apigatewayv2", "appautoscaling", "cloudformation", "cloudwatch", "dynamodb", "ec2", "ecr", "ecs", "elbv2", "events", "iam",
	"kms", "lambda", "logs", "route53", "s3", "s3control", "secretsmanager", "servicediscovery", "sns", "sqs", "ssm", "sts",
}

// oldCommand makes the aws command go where the others go: before 2.13 and 1.29 (Debian 12 has 2.9) it does not know
// AWS_ENDPOINT_URL, and would ask AWS.
const oldCommand = `aws() { command aws ${AWS_ENDPOINT_URL:+"--endpoint-url=$AWS_ENDPOINT_URL"} "$@"; } # for commands before 2.13
`

// Run prints.
func (e *Env) Run() error {
	c := e.Client
	variables := []pair{
		{"AWS_ENDPOINT_URL", c.Endpoint},
		{"AWS_ACCESS_KEY_ID", c.Key},
		{"AWS_SECRET_ACCESS_KEY", c.Secret},
		{"AWS_REGION", c.Region},
		{"AWS_DEFAULT_REGION", c.Region},
		{"AWS_EC2_METADATA_DISABLED", "true"},
		{"AWS_PAGER", ""},
	}
	switch e.Format {
	case EnvShell:
		var b strings.Builder
		b.WriteString("# use with: eval \"$(neargate env)\"\n")
		b.WriteString("unset AWS_PROFILE AWS_SESSION_TOKEN\n")
		for _, v := range variables {
			fmt.Fprintf(&b, "export %s=%s\n", v.key, shellQuote(v.value))
		}
		b.WriteString(oldCommand)
		e.Screen.Printf("%s", b.String())
	case EnvTerraform:
		e.Screen.Printf("%s", c.terraform())
	case EnvJSON:
		m := map[string]string{}
		for _, v := range variables {
			m[v.key] = v.value
		}
		return writeJSON(e.Screen, m)
	default:
		return Usage("unknown format %q", e.Format)
	}
	return nil
}

// terraform returns a provider block. The endpoints are explicit because provider 5 sends most services to AWS in spite of
// AWS_ENDPOINT_URL. The account is looked up as usual: ARNs that the provider makes need it.
func (c *Client) terraform() string {
	var b strings.Builder
	fmt.Fprintf(&b, `provider "aws" {
  region                  = %q
  access_key              = %q
  secret_key              = %q
  skip_metadata_api_check = true
  s3_use_path_style       = true

  endpoints {
`, c.Region, c.Key, c.Secret)
	longest := 0
	for _, s := range terraformServices {
		longest = max(longest, len(s))
	}
	for _, s := range terraformServices {
		fmt.Fprintf(&b, "    %-*s = %q\n", longest, s, c.Endpoint)
	}
	b.WriteString("  }\n}\n")
	return b.String()
}

// shellQuote returns the value as one word of a POSIX shell.
func shellQuote(s string) string {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.:/@%+="
	if s != "" && strings.Trim(s, plain) == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"regexp"
	"syscall"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// Defaults of a fresh installation.
const (
	DefaultEndpoint = "http://127.0.0.1:4566"
	DefaultRegion   = "us-east-1"
	DefaultKey      = "test" // both halves of the administrator's key pair in development mode
)

// Options say which Neargate is meant.
type Options struct {
	Endpoint string
	Region   string // empty: the one that it serves
	Key      string // access key and secret; empty: DefaultKey
	Secret   string
}

// Client holds one SDK client per AWS service. The fields are as narrow as the commands' use of them, for tests.
type Client struct {
	Endpoint string
	Region   string
	Key      string
	Secret   string
	Account  string

	CloudFormation CloudFormationAPI
	EC2            EC2API
	ECS            ECSAPI
	ELB            ELBAPI
	Logs           LogsAPI
	ECR            ECRAPI
}

// servedRegion finds the region that the daemon names when it refuses another one.
var servedRegion = regexp.MustCompile(`this Neargate serves '([a-z0-9-]+)'`)

// Connect returns a client after it has made sure that Neargate answers. When no region was chosen, it is the one that the
// daemon serves.
func Connect(ctx context.Context, o Options) (*Client, error) {
	if o.Endpoint == "" {
		o.Endpoint = DefaultEndpoint
	}
	if u, err := url.Parse(o.Endpoint); err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, Usage("the endpoint %q is not an address like %s", o.Endpoint, DefaultEndpoint)
	}
	if o.Key == "" {
		o.Key, o.Secret = DefaultKey, DefaultKey
	}
	region := o.Region
	if region == "" {
		region = DefaultRegion
	}
	c := newClient(o, region)
	// Any cheap call of a service that has a region will do: the answer tells who is there and which region is served.
	_, err := c.EC2.DescribeAvailabilityZones(ctx, &ec2.DescribeAvailabilityZonesInput{})
	if err != nil && o.Region == "" {
		if served := servedRegion.FindStringSubmatch(err.Error()); served != nil {
			c = newClient(o, served[1])
			_, err = c.EC2.DescribeAvailabilityZones(ctx, &ec2.DescribeAvailabilityZonesInput{})
		}
	}
	if err != nil {
		return nil, Explain(err, o.Endpoint)
	}
	who, err := sts.NewFromConfig(c.config()).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return nil, Explain(err, o.Endpoint)
	}
	c.Account = aws.ToString(who.Account)
	return c, nil
}

func newClient(o Options, region string) *Client {
	c := &Client{Endpoint: o.Endpoint, Region: region, Key: o.Key, Secret: o.Secret}
	config := c.config()
	c.CloudFormation = cloudformation.NewFromConfig(config)
	c.EC2 = ec2.NewFromConfig(config)
	c.ECS = ecs.NewFromConfig(config)
	c.ELB = elb.NewFromConfig(config)
	c.Logs = cloudwatchlogs.NewFromConfig(config)
	c.ECR = ecr.NewFromConfig(config)
	return c
}

// config ignores the user's AWS files and environment on purpose: keys of a real account shall not leave them.
func (c *Client) config() aws.Config {
	return aws.Config{
		Region:       c.Region,
		BaseEndpoint: aws.String(c.Endpoint),
		Credentials:  credentials.NewStaticCredentialsProvider(c.Key, c.Secret, ""),
		AppID:        "neargate",
		Retryer: func() aws.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) {
				o.Retryables = append([]retry.IsErrorRetryable{retry.IsErrorRetryableFunc(refusedIsFinal)}, o.Retryables...)
			})
		},
	}
}

// refusedIsFinal keeps the SDK from waiting for a daemon that is not there; who wants to wait does it knowingly.
func refusedIsFinal(err error) aws.Ternary {
	if errors.Is(err, syscall.ECONNREFUSED) {
		return aws.FalseTernary
	}
	return aws.UnknownTernary
}

// unreachable reports whether no daemon answered, or one that ended meanwhile.
func unreachable(err error) bool {
	for _, sign := range []error{syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.EPIPE, io.EOF, io.ErrUnexpectedEOF} {
		if errors.Is(err, sign) {
			return true
		}
	}
	return false
}

// registryHost returns the host and port at which the endpoint speaks the registry's protocol.
func (c *Client) registryHost() (string, error) {
	u, err := url.Parse(c.Endpoint)
	if err != nil {
		return "", fmt.Errorf("endpoint %q: %w", c.Endpoint, err)
	}
	return u.Host, nil
}

// Offline returns a client that has called nobody yet; the region is the chosen one or the default.
func Offline(o Options) *Client {
	if o.Endpoint == "" {
		o.Endpoint = DefaultEndpoint
	}
	if o.Key == "" {
		o.Key, o.Secret = DefaultKey, DefaultKey
	}
	if o.Region == "" {
		o.Region = DefaultRegion
	}
	return newClient(o, o.Region)
}

// Package whole asks the real binary what package compat asks servers in the test's own process: that every operation of
// the manifest is there, and that the waiters of the SDK end with a kernel behind them. It needs root; one small test, because
// the stories of test/script do the rest with the real binary anyway.
package whole

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"

	"github.com/neargate/neargate/test/harness"
)

var daemon *harness.Daemon

func TestMain(m *testing.M) {
	os.Exit(harness.Main(m, harness.Options{Speed: 60}, func(d *harness.Daemon) error {
		daemon = d
		return nil
	}))
}

// protocols say how an operation is called: the prefix of X-Amz-Target, or the version of a query service.
var protocols = map[string]struct{ signing, target, version string }{
	"ec2": {signing: "ec2", version: "2016-11-15"}, "elbv2": {signing: "elasticloadbalancing", version: "2015-12-01"}, "iam": {signing: "iam", version: "2010-05-08"},
	"sts": {signing: "sts", version: "2011-06-15"}, "cfn": {signing: "cloudformation", version: "2010-05-15"}, "ecs": {signing: "ecs", target: "AmazonEC2ContainerServiceV20141113"},
	"ecr": {signing: "ecr", target: "AmazonEC2ContainerRegistry_V20150921"}, "logs": {signing: "logs", target: "Logs_20140328"},
}

// TestOperations calls every operation of the manifest with no input: what misses something says what, but none is
// unknown and none fails inside.
func TestOperations(t *testing.T) {
	harness.Skip(t, daemon)
	body, err := os.ReadFile("../../../internal/awsapi/manifest.txt")
	if err != nil {
		t.Fatal(err)
	}
	called := 0
	for line := range strings.Lines(string(body)) {
		line, _, _ = strings.Cut(line, "#")
		if fields := strings.Fields(line); len(fields) == 2 {
			called++
			status, answer := call(t, fields[0], fields[1])
			if status >= 500 || strings.Contains(answer, "InvalidAction") || strings.Contains(answer, "UnknownOperation") {
				t.Errorf("%s: %d %s", line, status, answer)
			}
		}
	}
	if called < 100 {
		t.Errorf("only %d operations in the manifest", called)
	}
}

func call(t *testing.T, service, operation string) (int, string) {
	t.Helper()
	p, ok := protocols[service]
	if !ok {
		t.Fatalf("no protocol for %s", service)
	}
	body, kind := "{}", "application/x-amz-json-1.1"
	if p.target == "" {
		body, kind = fmt.Sprintf("Action=%s&Version=%s", operation, p.version), "application/x-www-form-urlencoded"
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, daemon.Endpoint+"/", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", kind)
	if p.target != "" {
		req.Header.Set("X-Amz-Target", p.target+"."+operation)
	}
	sum := sha256.Sum256([]byte(body))
	if err := v4.NewSigner().SignHTTP(t.Context(), aws.Credentials{AccessKeyID: "test", SecretAccessKey: "test"}, req, hex.EncodeToString(sum[:]), p.signing, harness.Region, time.Now()); err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(answer)
}

// TestWaiters makes what takes a kernel to become ready, waits for it with the SDK's waiters, and removes it.
func TestWaiters(t *testing.T) {
	harness.Skip(t, daemon)
	ctx, clients := t.Context(), daemon.Clients()
	cloud, balancers := clients["ec2"].(*ec2.Client), clients["elbv2"].(*elb.Client)
	const quick, patience = 50 * time.Millisecond, 2 * time.Minute
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	vpc, err := cloud.CreateVpc(ctx, &ec2.CreateVpcInput{CidrBlock: aws.String("10.0.0.0/16")})
	ok(err)
	var subnets []string
	for i, zone := range []string{"us-east-1a", "us-east-1b"} {
		out, err := cloud.CreateSubnet(ctx, &ec2.CreateSubnetInput{VpcId: vpc.Vpc.VpcId, CidrBlock: aws.String(fmt.Sprintf("10.0.%d.0/24", i)), AvailabilityZone: &zone})
		ok(err)
		subnets = append(subnets, *out.Subnet.SubnetId)
	}
	gateway, err := cloud.CreateInternetGateway(ctx, &ec2.CreateInternetGatewayInput{})
	ok(err)
	igw := gateway.InternetGateway.InternetGatewayId
	_, err = cloud.AttachInternetGateway(ctx, &ec2.AttachInternetGatewayInput{InternetGatewayId: igw, VpcId: vpc.Vpc.VpcId})
	ok(err)
	address, err := cloud.AllocateAddress(ctx, &ec2.AllocateAddressInput{Domain: types.DomainTypeVpc})
	ok(err)
	nat, err := cloud.CreateNatGateway(ctx, &ec2.CreateNatGatewayInput{SubnetId: &subnets[0], AllocationId: address.AllocationId})
	ok(err)
	balancer, err := balancers.CreateLoadBalancer(ctx, &elb.CreateLoadBalancerInput{Name: aws.String("whole"), Subnets: subnets})
	ok(err)
	natInput := &ec2.DescribeNatGatewaysInput{NatGatewayIds: []string{*nat.NatGateway.NatGatewayId}}
	arn := balancer.LoadBalancers[0].LoadBalancerArn
	ok(ec2.NewNatGatewayAvailableWaiter(cloud, func(o *ec2.NatGatewayAvailableWaiterOptions) { o.MinDelay, o.MaxDelay = quick, quick }).Wait(ctx, natInput, patience))
	ok(elb.NewLoadBalancerAvailableWaiter(balancers, func(o *elb.LoadBalancerAvailableWaiterOptions) { o.MinDelay, o.MaxDelay = quick, quick }).Wait(ctx, &elb.DescribeLoadBalancersInput{LoadBalancerArns: []string{*arn}}, patience))

	if program, err := exec.LookPath("aws"); err == nil {
		cmd := exec.CommandContext(ctx, program, "--endpoint-url", daemon.Endpoint, "elbv2", "describe-load-balancers", "--query", "LoadBalancers[].State.Code", "--output", "text")
		cmd.Env = daemon.Environment()
		if out, err := cmd.CombinedOutput(); err != nil || strings.TrimSpace(string(out)) != "active" {
			t.Errorf("aws elbv2 describe-load-balancers: %v: %s", err, out)
		}
	}

	_, err = balancers.DeleteLoadBalancer(ctx, &elb.DeleteLoadBalancerInput{LoadBalancerArn: arn})
	ok(err)
	_, err = cloud.DeleteNatGateway(ctx, &ec2.DeleteNatGatewayInput{NatGatewayId: nat.NatGateway.NatGatewayId})
	ok(err)
	ok(ec2.NewNatGatewayDeletedWaiter(cloud, func(o *ec2.NatGatewayDeletedWaiterOptions) { o.MinDelay, o.MaxDelay = quick, quick }).Wait(ctx, natInput, patience))
	_, err = cloud.ReleaseAddress(ctx, &ec2.ReleaseAddressInput{AllocationId: address.AllocationId})
	ok(err)
	_, err = cloud.DetachInternetGateway(ctx, &ec2.DetachInternetGatewayInput{InternetGatewayId: igw, VpcId: vpc.Vpc.VpcId})
	ok(err)
	_, err = cloud.DeleteInternetGateway(ctx, &ec2.DeleteInternetGatewayInput{InternetGatewayId: igw})
	ok(err)
	for _, subnet := range subnets {
		_, err = cloud.DeleteSubnet(ctx, &ec2.DeleteSubnetInput{SubnetId: &subnet})
		ok(err)
	}
	_, err = cloud.DeleteVpc(ctx, &ec2.DeleteVpcInput{VpcId: vpc.Vpc.VpcId})
	ok(err)
}

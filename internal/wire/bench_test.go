package wire_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/ec2api"
	"github.com/neargate/neargate/internal/awsapi/ecsapi"
)

// canned answers two Describe operations with ten records each.
type canned struct {
	vpcs  []ec2api.Vpc
	tasks []ecsapi.Task
}

func newCanned() *canned {
	c := &canned{}
	p := awsapi.Ptr[string]
	now := time.Now()
	for i := range 10 {
		id := fmt.Sprintf("vpc-%017x", i)
		c.vpcs = append(c.vpcs, ec2api.Vpc{
			VpcId: &id, CidrBlock: p("10.0.0.0/16"), State: ec2api.VpcStateAvailable, OwnerId: p(account), DhcpOptionsId: p("dopt-1"),
			InstanceTenancy: ec2api.TenancyDefault, IsDefault: awsapi.Ptr(false), Tags: []ec2api.Tag{{Key: p("Name"), Value: p("a")}},
		})
		arn := fmt.Sprintf("arn:aws:ecs:us-east-1:000000000000:task/c/%032x", i)
		c.tasks = append(c.tasks, ecsapi.Task{
			TaskArn: &arn, LastStatus: p("RUNNING"), DesiredStatus: p("RUNNING"), CreatedAt: &now, StartedAt: &now, LaunchType: ecsapi.LaunchTypeFargate,
			Cpu: p("256"), Memory: p("512"), Containers: []ecsapi.Container{{Name: p("web"), LastStatus: p("RUNNING"), Image: p("image:1")}},
		})
	}
	return c
}

func (c *canned) DescribeVpcs(context.Context, *ec2api.DescribeVpcsInput) (*ec2api.DescribeVpcsOutput, error) {
	return &ec2api.DescribeVpcsOutput{Vpcs: c.vpcs}, nil
}

func (c *canned) DescribeTasks(context.Context, *ecsapi.DescribeTasksInput) (*ecsapi.DescribeTasksOutput, error) {
	return &ecsapi.DescribeTasksOutput{Tasks: c.tasks}, nil
}

// BenchmarkDescribe is a Describe of ten records through the whole edge, client included: sign check, decode, validate,
// encode. The client sends one signed request again and again, as signing is not what is measured.
func BenchmarkDescribe(b *testing.B) {
	s := newServer()
	s.Mount(ec2api.Description(), newCanned())
	s.Mount(ecsapi.Description(), newCanned())
	_, url := start(b, s)
	cases := []struct {
		name, service, body string
		headers             http.Header
	}{
		{name: "ec2", service: "ec2", body: "Action=DescribeVpcs&Version=2016-11-15&Filter.1.Name=vpc-id&Filter.1.Value.1=vpc-1"},
		{name: "ecs", service: "ecs", body: `{"cluster":"c","tasks":["a","b"]}`,
			headers: http.Header{"X-Amz-Target": {"AmazonEC2ContainerServiceV20141113.DescribeTasks"}, "Content-Type": {"application/x-amz-json-1.1"}}},
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8}}
	for _, c := range cases {
		b.Run(c.name, func(b *testing.B) {
			signed := signedRequest(b, url, c.service, c.body, c.headers)
			b.SetParallelism(4) // times two cores: eight connections
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					r := signed.Clone(b.Context())
					r.Body = io.NopCloser(strings.NewReader(c.body))
					resp, err := client.Do(r)
					if err != nil {
						b.Error(err)
						return
					}
					_, _ = io.Copy(io.Discard, resp.Body)
					_ = resp.Body.Close()
					if resp.StatusCode != 200 {
						b.Errorf("status %d", resp.StatusCode)
						return
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
		})
	}
}

package elbv2

import (
	"strconv"
	"strings"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/elbv2api"
	"github.com/neargate/neargate/internal/model"
)

// trafficPort is the health check port that means the target's own.
const trafficPort = "traffic-port"

// defaultHealthCheck is that of instance and ip targets behind an ALB (aws-facts 3.3).
func defaultHealthCheck() model.TargetHealthCheck {
	return model.TargetHealthCheck{Enabled: true, Protocol: "HTTP", Port: trafficPort, Path: "/", Interval: 30, Timeout: 5,
		HealthyThreshold: 5, UnhealthyThreshold: 2, Matcher: "200"}
}

// healthInput is what a call says of a health check; nil and "" leave things as they are.
type healthInput struct {
	enabled                               *bool
	protocol                              elbv2api.ProtocolEnum
	port, path                            *string
	interval, timeout, healthy, unhealthy *int32
	matcher                               *elbv2api.Matcher
}

// healthCheck returns the check with the changes of a call.
func healthCheck(c model.TargetHealthCheck, in healthInput) (model.TargetHealthCheck, error) {
	if in.enabled != nil && !*in.enabled {
		return c, invalid("Health check enabled must be true for target groups with target type 'ip' or 'instance'")
	}
	switch in.protocol {
	case "":
	case elbv2api.ProtocolEnumHttp, elbv2api.ProtocolEnumHttps:
		c.Protocol = string(in.protocol)
	default:
		return c, invalid("Health check protocol '%s' must be one of 'HTTP, HTTPS' for a target group with the protocol HTTP or HTTPS", in.protocol)
	}
	if p := awsapi.Val(in.port); p != "" {
		if n, err := strconv.Atoi(p); p != trafficPort && (err != nil || n < 1 || n > 65535) {
			return c, invalid("Health check port '%s' must be 'traffic-port' or a number between 1 and 65535", p)
		}
		c.Port = p
	}
	if p := awsapi.Val(in.path); p != "" {
		if !strings.HasPrefix(p, "/") || len(p) > 1024 || strings.ContainsFunc(p, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return c, invalid("Health check path '%s' must begin with a '/' character, be at most 1024 characters long and have no spaces", p)
		}
		c.Path = p
	}
	for _, n := range []struct {
		name      string
		in        *int32
		out       *int
		low, high int
	}{
		{"Health check interval", in.interval, &c.Interval, 5, 300},
		{"Health check timeout", in.timeout, &c.Timeout, 2, 120},
		{"Healthy threshold count", in.healthy, &c.HealthyThreshold, 2, 10},
		{"Unhealthy threshold count", in.unhealthy, &c.UnhealthyThreshold, 2, 10},
	} {
		if n.in == nil {
			continue
		}
		if v := int(*n.in); v < n.low || v > n.high {
			return c, invalid("%s '%d' must be between %d and %d", n.name, v, n.low, n.high)
		}
		*n.out = int(*n.in)
	}
	if c.Timeout >= c.Interval {
		return c, invalid("Health check timeout '%d' must be smaller than the interval '%d'", c.Timeout, c.Interval)
	}
	return matched(c, in.matcher)
}

func matched(c model.TargetHealthCheck, in *elbv2api.Matcher) (model.TargetHealthCheck, error) {
	if in == nil {
		return c, nil
	}
	if awsapi.Val(in.GrpcCode) != "" {
		return c, invalid("A gRPC matcher can only be used with the protocol version GRPC")
	}
	code := awsapi.Val(in.HttpCode)
	if code == "" {
		return c, nil
	}
	if !isMatcher(code) {
		return c, invalid("Health check matcher HTTP code '%s' must be within '200-499' inclusive, as a value, a list ('200,202') or a range ('200-299')", code)
	}
	c.Matcher = code
	return c, nil
}

// isMatcher reports whether text lists HTTP codes from 200 to 499: "200", "200,202", "200-299".
func isMatcher(text string) bool {
	code := func(s string) (int, bool) {
		n, err := strconv.Atoi(s)
		return n, err == nil && len(s) == 3 && n >= 200 && n <= 499
	}
	for part := range strings.SplitSeq(text, ",") {
		low, high, isRange := strings.Cut(part, "-")
		if !isRange {
			high = low
		}
		l, lok := code(low)
		h, hok := code(high)
		if !lok || !hok || l > h {
			return false
		}
	}
	return true
}

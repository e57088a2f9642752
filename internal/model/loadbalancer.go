package model

import (
	"net/netip"
	"time"
)

// Load balancer states.
const (
	LBProvisioning = "provisioning"
	LBActive       = "active"
	LBFailed       = "failed"
)

// LoadBalancer is an Application Load Balancer. Its key is its ARN. On a host it is the namespace [LoadBalancerNetns]
// of its ID with one HAProxy in it.
type LoadBalancer struct {
	Meta
	ARN            string            `json:"arn"`
	ID             string            `json:"id"` // the 16 hexadecimal digits that end the ARN
	Name           string            `json:"name"`
	Type           string            `json:"type"`   // application
	Scheme         string            `json:"scheme"` // internet-facing, internal
	VPCID          string            `json:"vpcId"`
	IPAddressType  string            `json:"ipAddressType"`
	DNSName        string            `json:"dnsName"`
	HostedZoneID   string            `json:"hostedZoneId"`
	SecurityGroups []string          `json:"securityGroups"`
	Zones          []LBZone          `json:"zones"`
	Attributes     map[string]string `json:"attributes,omitempty"` // what was set; defaults are filled in on read
	State          string            `json:"state"`
	StateReason    string            `json:"stateReason,omitempty"`
	Host           string            `json:"host,omitempty"`
}

// LBZone is a load balancer's node in one availability zone.
type LBZone struct {
	AZ       string     `json:"az"`
	SubnetID string     `json:"subnetId"`
	ENIID    string     `json:"eniId"`
	IP       netip.Addr `json:"ip"`
	PublicIP netip.Addr `json:"publicIp"` // zero when internal
}

// Listener is a port of a load balancer. Its key is its ARN. The default rule is its DefaultActions.
type Listener struct {
	Meta
	ARN             string            `json:"arn"`
	ID              string            `json:"id"`
	LoadBalancerARN string            `json:"loadBalancerArn"`
	Port            int               `json:"port"`
	Protocol        string            `json:"protocol"`
	DefaultActions  []Action          `json:"defaultActions"`
	DefaultRuleARN  string            `json:"defaultRuleArn"`
	Attributes      map[string]string `json:"attributes,omitempty"`
}

// Rule is a rule of a listener, other than its default. Its key is its ARN.
type Rule struct {
	Meta
	ARN         string      `json:"arn"`
	ListenerARN string      `json:"listenerArn"`
	Priority    int         `json:"priority"`
	Conditions  []Condition `json:"conditions"`
	Actions     []Action    `json:"actions"`
}

// Condition is one condition of a rule; all of a rule's conditions must hold, one of a condition's values must.
type Condition struct {
	Field      string    `json:"field"` // host-header, path-pattern, http-header, http-request-method, query-string, source-ip
	HeaderName string    `json:"headerName,omitempty"`
	Values     []string  `json:"values,omitempty"`
	Query      []QueryKV `json:"query,omitempty"`
	// Plain is set when the user sent the values in Values, not in a ...Config member; answers echo the same form.
	Plain bool `json:"plain,omitempty"`
}

// QueryKV matches a query string parameter; an empty key matches the value alone.
type QueryKV struct {
	Key   string `json:"key,omitempty"`
	Value string `json:"value"`
}

// Action types.
const (
	ActionForward       = "forward"
	ActionRedirect      = "redirect"
	ActionFixedResponse = "fixed-response"
)

// Action is what a listener or rule does with a request.
type Action struct {
	Type          string         `json:"type"`
	Order         int            `json:"order,omitempty"`
	Forward       *ForwardAction `json:"forward,omitempty"`
	Redirect      *Redirect      `json:"redirect,omitempty"`
	FixedResponse *FixedResponse `json:"fixedResponse,omitempty"`
}

// ForwardAction sends a request to one of several target groups by weight.
type ForwardAction struct {
	Groups             []WeightedGroup `json:"groups"`
	StickinessEnabled  bool            `json:"stickinessEnabled,omitempty"`
	StickinessDuration int             `json:"stickinessDuration,omitempty"` // seconds
	// Simple is set when the user named the group by TargetGroupArn alone.
	Simple bool `json:"simple,omitempty"`
}

// WeightedGroup is a target group with its weight (0-999).
type WeightedGroup struct {
	TargetGroupARN string `json:"targetGroupArn"`
	Weight         int    `json:"weight"`
}

// Redirect answers with another URL; its parts may hold #{protocol}, #{host}, #{port}, #{path}, #{query}.
type Redirect struct {
	Protocol   string `json:"protocol"`
	Host       string `json:"host"`
	Port       string `json:"port"`
	Path       string `json:"path"`
	Query      string `json:"query"`
	StatusCode string `json:"statusCode"` // HTTP_301, HTTP_302
}

// FixedResponse answers by itself.
type FixedResponse struct {
	StatusCode  string `json:"statusCode"`
	ContentType string `json:"contentType,omitempty"`
	Body        string `json:"body,omitempty"`
}

// TargetGroup is a set of targets with a health check. Its key is its ARN.
type TargetGroup struct {
	Meta
	ARN             string            `json:"arn"`
	ID              string            `json:"id"`
	Name            string            `json:"name"`
	TargetType      string            `json:"targetType"` // ip, instance
	Protocol        string            `json:"protocol"`
	ProtocolVersion string            `json:"protocolVersion"`
	Port            int               `json:"port"`
	VPCID           string            `json:"vpcId"`
	IPAddressType   string            `json:"ipAddressType"`
	HealthCheck     TargetHealthCheck `json:"healthCheck"`
	Attributes      map[string]string `json:"attributes,omitempty"` // what was set; defaults are filled in on read
}

// TargetHealthCheck is a target group's health check; times in seconds, defaults filled in.
type TargetHealthCheck struct {
	Enabled            bool   `json:"enabled"`
	Protocol           string `json:"protocol"`
	Port               string `json:"port"` // traffic-port or a number
	Path               string `json:"path"`
	Interval           int    `json:"interval"`
	Timeout            int    `json:"timeout"`
	HealthyThreshold   int    `json:"healthyThreshold"`
	UnhealthyThreshold int    `json:"unhealthyThreshold"`
	Matcher            string `json:"matcher"`
}

// Target is one registration in a target group. Its key is [TargetKey].
type Target struct {
	TargetGroupARN string     `json:"targetGroupArn"`
	IP             netip.Addr `json:"ip"`
	Port           int        `json:"port"`
	AZ             string     `json:"az,omitempty"`     // the zone of the ENI; "all" for an address outside the VPC
	TaskID         string     `json:"taskId,omitempty"` // set when the service scheduler registered it
	RegisteredAt   time.Time  `json:"registeredAt"`
	// DrainingSince is set by deregistration; the record goes when the deregistration delay is over.
	DrainingSince time.Time `json:"drainingSince"`
}

// Target health states and reason codes (aws-facts 3).
const (
	TargetInitial     = "initial"
	TargetHealthy     = "healthy"
	TargetUnhealthy   = "unhealthy"
	TargetUnused      = "unused"
	TargetDraining    = "draining"
	TargetUnavailable = "unavailable"
)

// TargetHealth is what was probed of a target. Its key is [TargetKey]; node writes it.
type TargetHealth struct {
	TargetGroupARN string     `json:"targetGroupArn"`
	IP             netip.Addr `json:"ip"`
	Port           int        `json:"port"`
	State          string     `json:"state"`
	Reason         string     `json:"reason,omitempty"`
	Description    string     `json:"description,omitempty"`
	ChangedAt      time.Time  `json:"changedAt"`
}

// TargetKey returns the key of a target and of its health.
func TargetKey(groupARN string, ip netip.Addr, port int) string {
	return groupARN + "|" + netip.AddrPortFrom(ip, uint16(port)).String()
}

// Key returns the record's key.
func (t *Target) Key() string { return TargetKey(t.TargetGroupARN, t.IP, t.Port) }

// Key returns the record's key.
func (h *TargetHealth) Key() string { return TargetKey(h.TargetGroupARN, h.IP, h.Port) }

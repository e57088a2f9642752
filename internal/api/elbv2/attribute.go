package elbv2

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/neargate/neargate/internal/model"
)

// attribute is a key with its value.
type attribute struct{ key, value string }

// attributeSpec says what an attribute may be. Values that AWS takes and Neargate does not act on are refused by name.
type attributeSpec struct {
	key   string
	def   string                    // for keys whose default model does not know
	check func(value string) string // what is wrong with it, "" if nothing
	only  []string                  // the values that are acted on; empty: all that check lets pass
}

// attributeTable is what one kind of resource has.
type attributeTable struct {
	noun  string
	specs []attributeSpec
}

func boolean(v string) string { return oneOf("true", "false")(v) }

func oneOf(values ...string) func(string) string {
	return func(v string) string {
		if slices.Contains(values, v) {
			return ""
		}
		return "must be one of [" + strings.Join(values, ", ") + "]"
	}
}

func between(low, high int) func(string) string {
	return func(v string) string {
		if n, err := strconv.Atoi(v); err == nil && n >= low && n <= high {
			return ""
		}
		return "must be between " + strconv.Itoa(low) + " and " + strconv.Itoa(high)
	}
}

func anything(string) string { return "" }

// lbAttributes are the attributes of Application Load Balancers (aws-facts 3.2).
var lbAttributes = attributeTable{noun: "Load balancer", specs: []attributeSpec{
	{key: "access_logs.s3.bucket", check: anything},
	{key: "access_logs.s3.enabled", def: "false", check: boolean, only: []string{"false"}},
	{key: "access_logs.s3.prefix", check: anything},
	{key: model.AttrClientKeepAlive, check: between(60, 604800)},
	{key: "connection_logs.s3.bucket", check: anything},
	{key: "connection_logs.s3.enabled", def: "false", check: boolean, only: []string{"false"}},
	{key: "connection_logs.s3.prefix", check: anything},
	{key: model.AttrDeletionProtection, check: boolean},
	{key: "health_check_logs.s3.bucket", check: anything},
	{key: "health_check_logs.s3.enabled", def: "false", check: boolean, only: []string{"false"}},
	{key: "health_check_logs.s3.prefix", check: anything},
	{key: model.AttrIdleTimeout, check: between(1, 4000)},
	{key: "ipv6.deny_all_igw_traffic", def: "false", check: boolean, only: []string{"false"}},
	{key: "load_balancing.cross_zone.enabled", def: "true", check: oneOf("true")},
	{key: "routing.http.desync_mitigation_mode", def: "defensive", check: oneOf("monitor", "defensive", "strictest"), only: []string{"defensive"}},
	{key: model.AttrDropInvalidHeaders, check: boolean},
	{key: model.AttrPreserveHost, check: boolean},
	{key: "routing.http.x_amzn_tls_version_and_cipher_suite.enabled", def: "false", check: boolean, only: []string{"false"}},
	{key: model.AttrXFFClientPort, check: boolean},
	{key: model.AttrXFFMode, check: oneOf("append", "preserve", "remove")},
	{key: "routing.http2.enabled", def: "true", check: boolean}, // HTTP/2 is spoken on TLS listeners only, which cannot be made yet
	{key: "waf.fail_open.enabled", def: "false", check: boolean, only: []string{"false"}},
	{key: "zonal_shift.config.enabled", def: "false", check: boolean, only: []string{"false"}},
}}

// groupAttributes are the attributes of target groups of ip and instance targets behind an ALB.
var groupAttributes = attributeTable{noun: "Target group", specs: []attributeSpec{
	{key: model.AttrDeregistrationDelay, check: between(0, 3600)},
	{key: "load_balancing.algorithm.anomaly_mitigation", def: "off", check: oneOf("on", "off"), only: []string{"off"}},
	{key: model.AttrAlgorithm, check: oneOf("round_robin", "least_outstanding_requests", "weighted_random")},
	{key: "load_balancing.cross_zone.enabled", def: "use_load_balancer_configuration", check: oneOf("true", "false", "use_load_balancer_configuration"),
		only: []string{"true", "use_load_balancer_configuration"}},
	{key: model.AttrSlowStart, check: func(v string) string {
		if v == "0" {
			return ""
		}
		if text := between(30, 900)(v); text != "" {
			return text + ", or 0"
		}
		return ""
	}},
	{key: "stickiness.app_cookie.cookie_name", check: anything},
	{key: "stickiness.app_cookie.duration_seconds", def: "86400", check: between(1, 604800)},
	{key: "stickiness.enabled", def: "false", check: boolean, only: []string{"false"}},
	{key: "stickiness.lb_cookie.duration_seconds", def: "86400", check: between(1, 604800)},
	{key: "stickiness.type", def: "lb_cookie", check: oneOf("lb_cookie", "app_cookie")},
	{key: "target_group_health.dns_failover.minimum_healthy_targets.count", def: "1", check: offOr(between(1, maxTargets)), only: []string{"1"}},
	{key: "target_group_health.dns_failover.minimum_healthy_targets.percentage", def: "off", check: offOr(between(1, 100)), only: []string{"off"}},
	{key: model.AttrMinimumHealthy, check: between(1, maxTargets)},
	{key: "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage", def: "off", check: offOr(between(1, 100)), only: []string{"off"}},
}}

func offOr(check func(string) string) func(string) string {
	return func(v string) string {
		if v == "off" {
			return ""
		}
		return check(v)
	}
}

// listenerAttributes are the attributes of HTTP listeners.
var listenerAttributes = attributeTable{noun: "Listener", specs: append([]attributeSpec{
	{key: model.AttrResponseServer, check: boolean},
}, responseHeaderSpecs()...)}

func responseHeaderSpecs() []attributeSpec {
	var specs []attributeSpec
	for _, h := range model.ResponseHeaders() {
		specs = append(specs, attributeSpec{key: h.Key, check: func(v string) string {
			if len(v) > 1024 || strings.ContainsFunc(v, func(c rune) bool { return c < ' ' || c > '~' }) {
				return "must be at most 1024 printable ASCII characters"
			}
			return ""
		}})
	}
	return specs
}

// spec returns what is known of a key, nil if nothing.
func (t attributeTable) spec(key string) *attributeSpec {
	for i := range t.specs {
		if t.specs[i].key == key {
			return &t.specs[i]
		}
	}
	return nil
}

// value returns the value of a key: what was set, else the default.
func (t attributeTable) value(set map[string]string, key string) string {
	if v := model.AttributeValue(set, key); v != "" {
		return v
	}
	if s := t.spec(key); s != nil {
		return s.def
	}
	return ""
}

// list returns all attributes with their values, ordered by key.
func (t attributeTable) list(set map[string]string) []attribute {
	list := make([]attribute, 0, len(t.specs))
	for _, s := range t.specs {
		list = append(list, attribute{key: s.key, value: t.value(set, s.key)})
	}
	return list
}

// merge returns the set with changes, all of which must be fine. The old set is not changed.
func (t attributeTable) merge(old map[string]string, changes []attribute) (map[string]string, error) {
	set := maps.Clone(old)
	if set == nil {
		set = map[string]string{}
	}
	for _, a := range changes {
		s := t.spec(a.key)
		if s == nil { // Terraform's provider leaves out what is "not recognized" and repeats the call
			return nil, invalid("%s attribute key '%s' is not recognized", t.noun, a.key)
		}
		if why := s.check(a.value); why != "" {
			return nil, invalid("%s attribute '%s' %s: '%s'", t.noun, a.key, why, a.value)
		}
		if len(s.only) > 0 && !slices.Contains(s.only, a.value) {
			return nil, unsupported("the value '%s' of the attribute '%s' yet: only %s.", a.value, a.key, strings.Join(s.only, ", "))
		}
		set[a.key] = a.value
	}
	return set, nil
}

package model

import "strconv"

// Keys of attributes that are acted on; the API knows more and refuses what would need acting (aws-facts 3.2).
const (
	AttrDeletionProtection = "deletion_protection.enabled"
	AttrIdleTimeout        = "idle_timeout.timeout_seconds"
	AttrClientKeepAlive    = "client_keep_alive.seconds"
	AttrDropInvalidHeaders = "routing.http.drop_invalid_header_fields.enabled"
	AttrPreserveHost       = "routing.http.preserve_host_header.enabled"
	AttrXFFClientPort      = "routing.http.xff_client_port.enabled"
	AttrXFFMode            = "routing.http.xff_header_processing.mode"

	AttrDeregistrationDelay = "deregistration_delay.timeout_seconds"
	AttrAlgorithm           = "load_balancing.algorithm.type"
	AttrSlowStart           = "slow_start.duration_seconds"
	AttrMinimumHealthy      = "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count"

	AttrResponseServer = "routing.http.response.server.enabled"
)

// attributeDefaults are the values of attributes of load balancers, target groups and listeners that were never set.
var attributeDefaults = map[string]string{
	AttrDeletionProtection: "false",
	AttrIdleTimeout:        "60",
	AttrClientKeepAlive:    "3600",
	AttrDropInvalidHeaders: "false",
	AttrPreserveHost:       "false",
	AttrXFFClientPort:      "false",
	AttrXFFMode:            "append",

	AttrDeregistrationDelay: "300",
	AttrAlgorithm:           "round_robin",
	AttrSlowStart:           "0",
	AttrMinimumHealthy:      "1",

	AttrResponseServer: "true",
}

// AttributeValue returns the value of an attribute: what was set, else AWS's default for the keys named here.
func AttributeValue(set map[string]string, key string) string {
	if v, ok := set[key]; ok {
		return v
	}
	return attributeDefaults[key]
}

// AttributeIsTrue reports whether an attribute is "true".
func AttributeIsTrue(set map[string]string, key string) bool {
	return AttributeValue(set, key) == "true"
}

// AttributeInt returns an attribute that is a number.
func AttributeInt(set map[string]string, key string) int {
	n, _ := strconv.Atoi(AttributeValue(set, key)) // the API lets only numbers in
	return n
}

// ResponseHeader is a header that a listener can be told to set on every response.
type ResponseHeader struct{ Key, Header string }

// ResponseHeaders lists them, with the keys of their listener attributes.
func ResponseHeaders() []ResponseHeader {
	key := func(name string) string { return "routing.http.response." + name + ".header_value" }
	return []ResponseHeader{
		{Key: key("access_control_allow_credentials"), Header: "Access-Control-Allow-Credentials"},
		{Key: key("access_control_allow_headers"), Header: "Access-Control-Allow-Headers"},
		{Key: key("access_control_allow_methods"), Header: "Access-Control-Allow-Methods"},
		{Key: key("access_control_allow_origin"), Header: "Access-Control-Allow-Origin"},
		{Key: key("access_control_expose_headers"), Header: "Access-Control-Expose-Headers"},
		{Key: key("access_control_max_age"), Header: "Access-Control-Max-Age"},
		{Key: key("content_security_policy"), Header: "Content-Security-Policy"},
		{Key: key("strict_transport_security"), Header: "Strict-Transport-Security"},
		{Key: key("x_content_type_options"), Header: "X-Content-Type-Options"},
		{Key: key("x_frame_options"), Header: "X-Frame-Options"},
	}
}

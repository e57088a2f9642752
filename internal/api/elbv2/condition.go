package elbv2

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/elbv2api"
	"github.com/neargate/neargate/internal/model"
)

// Fields of a condition.
const (
	fieldHost   = "host-header"
	fieldPath   = "path-pattern"
	fieldHeader = "http-header"
	fieldMethod = "http-request-method"
	fieldQuery  = "query-string"
	fieldSource = "source-ip"
)

// Limits of a rule (aws-facts 3.5).
const (
	maxValues      = 5
	maxWildcards   = 5
	maxValue       = 128
	maxHeaderName  = 40
	badSourceBlock = "255.255.255.255/32"
)

// What a value may consist of.
var (
	hostForm   = regexp.MustCompile(`^[A-Za-z0-9.*?-]+$`)
	pathForm   = regexp.MustCompile(`^[A-Za-z0-9_.$/~"'@:+&*?-]+$`)
	methodForm = regexp.MustCompile(`^[A-Z_-]{1,40}$`)
	headerForm = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,40}$")
	textForm   = regexp.MustCompile(`^[ -~]+$`)
)

// parseConditions checks the conditions of a rule.
func parseConditions(in []elbv2api.RuleCondition) ([]model.Condition, error) {
	if len(in) == 0 {
		return nil, invalid("A rule must have at least one condition")
	}
	var list []model.Condition
	values, wildcards := 0, 0
	seen := map[string]bool{}
	for _, c := range in {
		cond, err := parseCondition(c)
		if err != nil {
			return nil, err
		}
		if seen[cond.Field] && cond.Field != fieldHeader && cond.Field != fieldQuery {
			return nil, invalid("A rule can have only one '%s' condition", cond.Field)
		}
		seen[cond.Field] = true
		values += len(cond.Values) + len(cond.Query)
		wildcards += countWildcards(cond)
		list = append(list, cond)
	}
	if values > maxValues {
		return nil, invalid("A rule can have at most %d condition values", maxValues)
	}
	if wildcards > maxWildcards {
		return nil, invalid("A rule can have at most %d wildcards", maxWildcards)
	}
	return list, nil
}

func countWildcards(c model.Condition) int {
	if c.Field == fieldMethod || c.Field == fieldSource {
		return 0
	}
	n := 0
	count := func(s string) {
		s = strings.NewReplacer(`\*`, "", `\?`, "").Replace(s)
		n += strings.Count(s, "*") + strings.Count(s, "?")
	}
	for _, v := range c.Values {
		count(v)
	}
	for _, q := range c.Query {
		count(q.Key)
		count(q.Value)
	}
	return n
}

func parseCondition(in elbv2api.RuleCondition) (model.Condition, error) {
	c := model.Condition{Field: awsapi.Val(in.Field)}
	if err := checkMembers(c.Field, in); err != nil {
		return c, err
	}
	regexes := len(in.RegexValues)
	fromConfig := func(values, regex []string) {
		c.Values = values
		regexes += len(regex)
	}
	switch {
	case len(in.Values) > 0:
		if c.Field != fieldHost && c.Field != fieldPath {
			return c, invalid("The condition field '%s' cannot be used with Values: use its configuration member", c.Field)
		}
		c.Values, c.Plain = in.Values, true
	case c.Field == fieldHost && in.HostHeaderConfig != nil:
		fromConfig(in.HostHeaderConfig.Values, in.HostHeaderConfig.RegexValues)
	case c.Field == fieldPath && in.PathPatternConfig != nil:
		fromConfig(in.PathPatternConfig.Values, in.PathPatternConfig.RegexValues)
	case c.Field == fieldHeader && in.HttpHeaderConfig != nil:
		fromConfig(in.HttpHeaderConfig.Values, in.HttpHeaderConfig.RegexValues)
		c.HeaderName = awsapi.Val(in.HttpHeaderConfig.HttpHeaderName)
	case c.Field == fieldMethod && in.HttpRequestMethodConfig != nil:
		fromConfig(in.HttpRequestMethodConfig.Values, nil)
	case c.Field == fieldSource && in.SourceIpConfig != nil:
		fromConfig(in.SourceIpConfig.Values, nil)
	case c.Field == fieldQuery && in.QueryStringConfig != nil:
		for _, q := range in.QueryStringConfig.Values {
			c.Query = append(c.Query, model.QueryKV{Key: awsapi.Val(q.Key), Value: awsapi.Val(q.Value)})
		}
	case slices.Contains([]string{fieldHost, fieldPath, fieldHeader, fieldMethod, fieldQuery, fieldSource}, c.Field):
		if regexes == 0 {
			return c, invalid("A condition value must be specified for the field '%s'", c.Field)
		}
	default:
		return c, invalid("Condition field '%s' must be one of '[path-pattern, host-header, http-request-method, http-header, query-string, source-ip]'", c.Field)
	}
	if regexes > 0 {
		return c, unsupported("regular expressions (RegexValues) in conditions yet: use Values with wildcards.")
	}
	return c, checkCondition(c)
}

// checkMembers refuses the member of another field, and plain values that say something else than the field's own member:
// one of the two would be ignored.
func checkMembers(field string, in elbv2api.RuleCondition) error {
	for _, m := range []struct {
		name, of string
		set      bool
	}{
		{"HostHeaderConfig", fieldHost, in.HostHeaderConfig != nil}, {"PathPatternConfig", fieldPath, in.PathPatternConfig != nil},
		{"HttpHeaderConfig", fieldHeader, in.HttpHeaderConfig != nil}, {"HttpRequestMethodConfig", fieldMethod, in.HttpRequestMethodConfig != nil},
		{"QueryStringConfig", fieldQuery, in.QueryStringConfig != nil}, {"SourceIpConfig", fieldSource, in.SourceIpConfig != nil},
	} {
		if m.set && m.of != field {
			return invalid("A condition of the field '%s' cannot have a %s", field, m.name)
		}
	}
	same := true
	switch {
	case len(in.Values) == 0:
	case in.HostHeaderConfig != nil:
		same = slices.Equal(in.Values, in.HostHeaderConfig.Values) && len(in.HostHeaderConfig.RegexValues) == 0
	case in.PathPatternConfig != nil:
		same = slices.Equal(in.Values, in.PathPatternConfig.Values) && len(in.PathPatternConfig.RegexValues) == 0
	}
	if !same {
		return invalid("A condition of the field '%s' must have either Values or its configuration member, not both", field)
	}
	return nil
}

func checkCondition(c model.Condition) error {
	if len(c.Values)+len(c.Query) == 0 {
		return invalid("A condition value must be specified for the field '%s'", c.Field)
	}
	if c.Field == fieldHeader && !headerForm.MatchString(c.HeaderName) {
		return invalid("The HTTP header name '%s' is not valid: it has 1 to %d characters of those that a header name can have", c.HeaderName, maxHeaderName)
	}
	for _, v := range c.Values {
		if v == "" || len(v) > maxValue {
			return invalid("The condition value '%s' must have 1 to %d characters", v, maxValue)
		}
		if why := checkConditionValue(c.Field, v); why != "" {
			return invalid("The condition value '%s' of the field '%s' is not valid: %s", v, c.Field, why)
		}
	}
	for _, q := range c.Query {
		if q.Value == "" || len(q.Value) > maxValue || len(q.Key) > maxValue || !textForm.MatchString(q.Value) || (q.Key != "" && !textForm.MatchString(q.Key)) {
			return invalid("The query string condition '%s=%s' is not valid: a value is required, both have at most %d printable characters", q.Key, q.Value, maxValue)
		}
	}
	return nil
}

// checkConditionValue returns what is wrong with a value, "" if nothing.
func checkConditionValue(field, v string) string {
	switch field {
	case fieldHost:
		last := v[strings.LastIndexByte(v, '.')+1:]
		switch {
		case !hostForm.MatchString(v):
			return "it can have letters, digits, '-', '.', '*' and '?'"
		case !strings.Contains(v, "."):
			return "it must have at least one '.'"
		case strings.ContainsAny(last, "0123456789-"):
			return "it can have only letters and wildcards after the last '.'"
		}
	case fieldPath:
		if !pathForm.MatchString(v) {
			return `it can have letters, digits, and _ - . $ / ~ " ' @ : + & * ?`
		}
	case fieldMethod:
		if !methodForm.MatchString(v) {
			return "it can have A-Z, '-' and '_', at most 40 of them"
		}
	case fieldSource:
		p, err := netip.ParsePrefix(v)
		if err != nil || v == badSourceBlock || p != p.Masked() {
			return "it must be an IPv4 or IPv6 block in CIDR form"
		}
	case fieldHeader:
		if !textForm.MatchString(v) {
			return "it can have printable characters"
		}
	}
	return ""
}

// describeConditions answers the typed member always, and the plain values where they belong: for hosts and paths.
func describeConditions(list []model.Condition) []elbv2api.RuleCondition {
	out := make([]elbv2api.RuleCondition, 0, len(list))
	for _, c := range list {
		d := elbv2api.RuleCondition{Field: awsapi.Ptr(c.Field)}
		values := slices.Clone(c.Values)
		switch c.Field {
		case fieldHost:
			d.Values, d.HostHeaderConfig = values, &elbv2api.HostHeaderConditionConfig{Values: values}
		case fieldPath:
			d.Values, d.PathPatternConfig = values, &elbv2api.PathPatternConditionConfig{Values: values}
		case fieldHeader:
			d.HttpHeaderConfig = &elbv2api.HttpHeaderConditionConfig{HttpHeaderName: awsapi.Ptr(c.HeaderName), Values: values}
		case fieldMethod:
			d.HttpRequestMethodConfig = &elbv2api.HttpRequestMethodConditionConfig{Values: values}
		case fieldSource:
			d.SourceIpConfig = &elbv2api.SourceIpConditionConfig{Values: values}
		case fieldQuery:
			d.QueryStringConfig = &elbv2api.QueryStringConditionConfig{}
			for _, q := range c.Query {
				d.QueryStringConfig.Values = append(d.QueryStringConfig.Values, elbv2api.QueryStringKeyValuePair{Key: awsapi.NonZero(q.Key), Value: awsapi.Ptr(q.Value)})
			}
		}
		out = append(out, d)
	}
	return out
}

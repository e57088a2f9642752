package iam

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// PolicyKind says where a document is used: the rules differ.
type PolicyKind int

// The kinds of documents.
const (
	IdentityPolicy PolicyKind = iota // of a role: what it may do
	TrustPolicy                      // of a role: who may assume it
)

// Policy is a policy document that was read.
type Policy struct {
	Version    string
	ID         string
	Statements []Statement
}

// Statement is one statement of a policy.
type Statement struct {
	Sid         string
	Effect      string // Allow, Deny
	Actions     []string
	NotActions  []string
	Resources   []string
	NotResource []string
	// Principals by type (AWS, Service, Federated, CanonicalUser); everybody is AWS "*".
	Principals    map[string][]string
	NotPrincipals map[string][]string
	Conditions    map[string]map[string][]string // operator, key, values
}

// MalformedError says what is wrong with a document, in IAM's words where they are known.
type MalformedError struct{ Message string }

func (e *MalformedError) Error() string { return e.Message }

func malformed(format string, args ...any) error {
	return &MalformedError{Message: fmt.Sprintf(format, args...)}
}

const syntaxErrors = "Syntax errors in policy."

var (
	sidPattern     = regexp.MustCompile(`^[0-9A-Za-z]*$`)
	actionPattern  = regexp.MustCompile(`^(\*|[A-Za-z0-9-]+:[A-Za-z0-9*?]+)$`)
	accountPattern = regexp.MustCompile(`^\d{12}$`)
	versions       = []string{"2012-10-17", "2008-10-17"}
)

// ParsePolicy reads a document and checks what IAM checks when it is stored. Its error is a *MalformedError.
func ParsePolicy(kind PolicyKind, text string) (*Policy, error) {
	var doc struct {
		Version   *string
		ID        string `json:"Id"`
		Statement json.RawMessage
	}
	if !json.Valid([]byte(text)) {
		return nil, malformed("This policy contains invalid Json")
	}
	if err := decodeStrictly([]byte(text), &doc, "Version", "Id", "Statement"); err != nil {
		return nil, err
	}
	p := &Policy{Version: "2008-10-17", ID: doc.ID}
	if doc.Version != nil {
		if p.Version = *doc.Version; !slices.Contains(versions, p.Version) {
			return nil, malformed("%s", syntaxErrors)
		}
	}
	items, err := oneOrMany[json.RawMessage](doc.Statement)
	if err != nil || len(items) == 0 {
		return nil, malformed("%s", syntaxErrors)
	}
	sids := map[string]bool{}
	for _, item := range items {
		s, err := parseStatement(kind, item)
		if err != nil {
			return nil, err
		}
		if s.Sid != "" && sids[s.Sid] {
			return nil, malformed("Statement IDs (SID) in a single policy must be unique.")
		}
		sids[s.Sid] = true
		p.Statements = append(p.Statements, *s)
	}
	return p, nil
}

func parseStatement(kind PolicyKind, raw json.RawMessage) (*Statement, error) {
	var doc struct {
		Sid, Effect                                                                  string
		Action, NotAction, Resource, NotResource, Principal, NotPrincipal, Condition json.RawMessage
	}
	if err := decodeStrictly(raw, &doc, "Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Principal", "NotPrincipal", "Condition"); err != nil {
		return nil, err
	}
	s := &Statement{Sid: doc.Sid, Effect: doc.Effect}
	if s.Effect != "Allow" && s.Effect != "Deny" {
		return nil, malformed("%s", syntaxErrors)
	}
	if !sidPattern.MatchString(s.Sid) {
		return nil, malformed("Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression [0-9A-Za-z]*")
	}
	var err error
	for _, list := range []struct {
		raw  json.RawMessage
		into *[]string
	}{{raw: doc.Action, into: &s.Actions}, {raw: doc.NotAction, into: &s.NotActions}, {raw: doc.Resource, into: &s.Resources}, {raw: doc.NotResource, into: &s.NotResource}} {
		if *list.into, err = oneOrMany[string](list.raw); err != nil {
			return nil, malformed("%s", syntaxErrors)
		}
	}
	if s.Principals, err = parsePrincipal(doc.Principal); err != nil {
		return nil, err
	}
	if s.NotPrincipals, err = parsePrincipal(doc.NotPrincipal); err != nil {
		return nil, err
	}
	if s.Conditions, err = parseCondition(doc.Condition); err != nil {
		return nil, err
	}
	return s, s.check(kind)
}

func (s *Statement) check(kind PolicyKind) error {
	if (len(s.Actions) == 0) == (len(s.NotActions) == 0) {
		return malformed("Policy statement must contain actions.")
	}
	for _, a := range slices.Concat(s.Actions, s.NotActions) {
		if !actionPattern.MatchString(a) {
			return malformed("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.")
		}
	}
	named := len(s.Principals) + len(s.NotPrincipals)
	if kind == TrustPolicy {
		switch {
		case len(s.Resources)+len(s.NotResource) > 0:
			return malformed("Has prohibited field Resource")
		case named == 0:
			return malformed("Missing required field Principal")
		}
		for _, a := range s.Actions {
			if !strings.HasPrefix(strings.ToLower(a), "sts:") && a != "*" {
				return malformed("AssumeRole policy may only specify STS AssumeRole actions.")
			}
		}
		return nil
	}
	if named > 0 {
		return malformed("Policy document should not specify a principal.")
	}
	if (len(s.Resources) == 0) == (len(s.NotResource) == 0) {
		return malformed("Policy statement must contain resources.")
	}
	for _, r := range slices.Concat(s.Resources, s.NotResource) {
		if r != "*" && !strings.HasPrefix(r, "arn:") && !strings.HasPrefix(r, "*") {
			return malformed(`Resource %s must be in ARN format or "*".`, r)
		}
	}
	return nil
}

// principalTypes are the types of principals.
var principalTypes = []string{"AWS", "Service", "Federated", "CanonicalUser"}

func parsePrincipal(raw json.RawMessage) (map[string][]string, error) {
	if raw == nil {
		return nil, nil
	}
	var everybody string
	if json.Unmarshal(raw, &everybody) == nil {
		if everybody != "*" {
			return nil, malformed("Invalid principal in policy: \"AWS\":\"%s\"", everybody)
		}
		return map[string][]string{"AWS": {"*"}}, nil
	}
	var doc map[string]json.RawMessage
	if err := json.Unmarshal(raw, &doc); err != nil || len(doc) == 0 {
		return nil, malformed("%s", syntaxErrors)
	}
	principals := map[string][]string{}
	for kind, value := range doc {
		if !slices.Contains(principalTypes, kind) {
			return nil, malformed("%s", syntaxErrors)
		}
		names, err := oneOrMany[string](value)
		if err != nil || len(names) == 0 {
			return nil, malformed("%s", syntaxErrors)
		}
		for _, n := range names {
			isARN := strings.HasPrefix(n, "arn:") && strings.Count(n, ":") >= 5
			if kind == "AWS" && n != "*" && !accountPattern.MatchString(n) && !isARN {
				return nil, malformed("Invalid principal in policy: \"AWS\":\"%s\"", n)
			}
			if kind == "Service" && !strings.Contains(n, ".amazonaws.com") {
				return nil, malformed("Invalid principal in policy: \"SERVICE\":\"%s\"", n)
			}
		}
		principals[kind] = names
	}
	return principals, nil
}

func parseCondition(raw json.RawMessage) (map[string]map[string][]string, error) {
	if raw == nil {
		return nil, nil
	}
	var doc map[string]map[string]json.RawMessage
	if err := json.Unmarshal(raw, &doc); err != nil {
		return nil, malformed("%s", syntaxErrors)
	}
	conditions := map[string]map[string][]string{}
	for operator, keys := range doc {
		conditions[operator] = map[string][]string{}
		for key, value := range keys {
			scalars, err := oneOrMany[any](value)
			if err != nil {
				return nil, malformed("%s", syntaxErrors)
			}
			for _, v := range scalars {
				switch v.(type) {
				case string, bool, float64:
					conditions[operator][key] = append(conditions[operator][key], fmt.Sprint(v))
				default:
					return nil, malformed("%s", syntaxErrors)
				}
			}
		}
	}
	return conditions, nil
}

// oneOrMany reads a value that may stand alone or in a list.
func oneOrMany[T any](raw json.RawMessage) ([]T, error) {
	if raw == nil {
		return nil, nil
	}
	if strings.HasPrefix(strings.TrimSpace(string(raw)), "[") {
		var many []T
		err := json.Unmarshal(raw, &many)
		return many, err
	}
	var one T
	if err := json.Unmarshal(raw, &one); err != nil {
		return nil, err
	}
	return []T{one}, nil
}

// decodeStrictly reads an object whose members are all known, in this very case: encoding/json alone takes "action" for "Action".
func decodeStrictly(raw []byte, into any, known ...string) error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil || members == nil {
		return malformed("%s", syntaxErrors)
	}
	for name, value := range members {
		if !slices.Contains(known, name) || string(value) == "null" {
			return malformed("%s", syntaxErrors)
		}
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return malformed("%s", syntaxErrors)
	}
	return nil
}

// Trusts reports whether the trust policy lets a principal (an ARN) of an account assume the role. An ExternalId is the only condition that is
// understood; a statement with another one allows nobody.
func (p *Policy) Trusts(principal, account, externalID string) bool {
	allowed := false
	for i := range p.Statements {
		s := &p.Statements[i]
		if !s.isAssume() || !s.names(principal, account) {
			continue
		}
		if s.Effect == "Deny" {
			return false
		}
		allowed = allowed || s.allowsExternalID(externalID)
	}
	return allowed
}

func (s *Statement) isAssume() bool {
	return slices.ContainsFunc(s.Actions, func(a string) bool {
		a = strings.ToLower(a)
		return a == "*" || a == "sts:*" || a == "sts:assumerole" || a == "sts:assumerole*"
	})
}

func (s *Statement) names(principal, account string) bool {
	for _, n := range s.Principals["AWS"] {
		switch n {
		case "*", account, "arn:aws:iam::" + account + ":root", principal, roleOf(principal):
			return true
		}
	}
	return false
}

func (s *Statement) allowsExternalID(id string) bool {
	for operator, keys := range s.Conditions {
		for key, values := range keys {
			if operator != "StringEquals" || !strings.EqualFold(key, "sts:ExternalId") || !slices.Contains(values, id) {
				return false
			}
		}
	}
	return true
}

// roleOf returns the ARN of the role of a session's ARN (without a path: the session does not tell it).
func roleOf(principal string) string {
	rest, ok := strings.CutPrefix(principal, "arn:aws:sts::")
	if !ok {
		return principal
	}
	account, resource, _ := strings.Cut(rest, ":")
	parts := strings.Split(resource, "/")
	if len(parts) < 2 {
		return principal
	}
	return "arn:aws:iam::" + account + ":role/" + parts[1]
}

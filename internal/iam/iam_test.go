package iam

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/neargate/neargate/internal/clock"
	"github.com/neargate/neargate/internal/fault"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/store"
	"github.com/neargate/neargate/internal/store/storetest"
)

var testTime = time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)

func newKeyring(t *testing.T) *Keyring {
	t.Helper()
	db, tables := storetest.New(t)
	k := &Keyring{DB: db, Tables: tables, Clock: clock.Fixed(testTime), Scope: model.Scope{Account: "000000000000", Region: "us-east-1"},
		Admin: Admin{AccessKeyID: "test", Secret: "test"}}
	if err := db.Update(t.Context(), func(tx *store.Txn) error {
		tables.Roles.Put(tx, &model.Role{Name: "app", ID: "AROAX", ARN: k.Scope.RoleARN("/", "app"), Path: "/"})
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return k
}

func TestKeyring(t *testing.T) {
	k := newKeyring(t)
	c, err := k.Credential(t.Context(), "test")
	if err != nil || c.Secret != "test" || c.Principal != "arn:aws:iam::000000000000:user/admin" || c.SessionToken != "" {
		t.Errorf("administrator: %+v %v", c, err)
	}
	if _, err := k.Credential(t.Context(), "AKIAX"); !errors.Is(err, ErrUnknownKey) {
		t.Errorf("unknown key: %v", err)
	}
	s, err := k.IssueForTask(t.Context(), "arn:aws:iam::000000000000:role/app", "0123", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	c, err = k.Credential(t.Context(), s.AccessKeyID)
	if err != nil || c.Secret != s.Secret || c.SessionToken != s.Token || !c.Expires.Equal(testTime.Add(time.Hour)) ||
		c.Principal != "arn:aws:sts::000000000000:assumed-role/app/0123" || len(s.AccessKeyID) != 20 || len(s.Secret) != 40 {
		t.Errorf("task: %+v %v", c, err)
	}
	if err := k.RevokeTask(t.Context(), "0123"); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Credential(t.Context(), s.AccessKeyID); !errors.Is(err, ErrUnknownKey) {
		t.Errorf("revoked: %v", err)
	}
	if _, err := k.Issue(t.Context(), Grant{Role: "none"}); !fault.IsNotFound(err) {
		t.Errorf("no role: %v", err)
	}
	for range 250 {
		if _, err := k.Issue(t.Context(), Grant{Principal: "p", Lifetime: -2 * time.Hour}); err != nil {
			t.Fatal(err)
		}
	}
	young, err := k.Issue(t.Context(), Grant{Principal: "p", Lifetime: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := k.Tables.Sessions.Len(k.DB.View()); n != 1 || !k.Tables.Sessions.Has(k.DB.View(), young.AccessKeyID) {
		t.Errorf("%d sessions are left", n)
	}
}

func TestManaged(t *testing.T) {
	for _, p := range Managed() {
		if _, err := ParsePolicy(IdentityPolicy, p.Document); err != nil {
			t.Errorf("%s: %v", p.ARN(), err)
		}
		if found, ok := FindManaged(p.ARN()); !ok || found.Name != p.Name {
			t.Errorf("%s is not found", p.ARN())
		}
	}
	if _, ok := FindManaged("arn:aws:iam::aws:policy/None"); ok {
		t.Error("a policy that is not there was found")
	}
	if p, ok := FindManaged("arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy"); !ok || !strings.Contains(p.Document, "logs:PutLogEvents") {
		t.Errorf("execution role policy: %+v", p)
	}
}

const trust = `{"Statement":[{"Effect":"Allow","Principal":{"Service":"ecs-tasks.amazonaws.com"},"Action":"sts:AssumeRole"}]}`

func TestParsePolicy(t *testing.T) {
	const statement = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:GetObject"],"Resource":"*"}]}`
	replace := func(old, new string) string { return strings.Replace(statement, old, new, 1) }
	tests := []struct {
		name string
		kind PolicyKind
		text string
		want string // empty: well
	}{
		{"identity", IdentityPolicy, statement, ""},
		{"one statement", IdentityPolicy, `{"Statement":{"Sid":"A1","Effect":"Deny","NotAction":"iam:*","NotResource":["arn:aws:s3:::a/*"],"Condition":{"Bool":{"a:b":true}}}}`, ""},
		{"trust", TrustPolicy, trust, ""},
		{"no JSON", IdentityPolicy, "{", "This policy contains invalid Json"},
		{"empty", IdentityPolicy, "", "This policy contains invalid Json"},
		{"list", IdentityPolicy, "[]", syntaxErrors},
		{"version", IdentityPolicy, replace("2012-10-17", "2020-01-01"), syntaxErrors},
		{"no statement", IdentityPolicy, `{"Version":"2012-10-17"}`, syntaxErrors},
		{"unknown member", IdentityPolicy, replace(`"Effect"`, `"X":1,"Effect"`), syntaxErrors},
		{"case of a member", IdentityPolicy, replace(`"Effect"`, `"effect"`), syntaxErrors},
		{"effect", IdentityPolicy, replace("Allow", "allow"), syntaxErrors},
		{"no action", IdentityPolicy, replace(`"Action":["s3:GetObject"],`, ""), "Policy statement must contain actions."},
		{"vendor", IdentityPolicy, replace("s3:GetObject", "GetObject"), "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."},
		{"no resource", IdentityPolicy, replace(`,"Resource":"*"`, ""), "Policy statement must contain resources."},
		{"resource", IdentityPolicy, replace(`"*"`, `"bucket"`), `Resource bucket must be in ARN format or "*".`},
		{"principal", IdentityPolicy, replace(`"Effect"`, `"Principal":"*","Effect"`), "Policy document should not specify a principal."},
		{"sid", IdentityPolicy, replace(`"Effect"`, `"Sid":"a b","Effect"`), "Statement IDs (SID) must be alpha-numeric."},
		{"sid twice", IdentityPolicy, `{"Statement":[{"Sid":"a","Effect":"Allow","Action":"*","Resource":"*"},{"Sid":"a","Effect":"Allow","Action":"*","Resource":"*"}]}`,
			"Statement IDs (SID) in a single policy must be unique."},
		{"trust with resource", TrustPolicy, strings.Replace(trust, `"Action"`, `"Resource":"*","Action"`, 1), "Has prohibited field Resource"},
		{"trust without principal", TrustPolicy, `{"Statement":[{"Effect":"Allow","Action":"sts:AssumeRole"}]}`, "Missing required field Principal"},
		{"trust of other action", TrustPolicy, strings.Replace(trust, "sts:AssumeRole", "s3:GetObject", 1), "AssumeRole policy may only specify STS AssumeRole actions."},
		{"service", TrustPolicy, strings.Replace(trust, "ecs-tasks.amazonaws.com", "ecs-tasks", 1), `Invalid principal in policy: "SERVICE":"ecs-tasks"`},
		{"principal's form", TrustPolicy, strings.Replace(trust, `{"Service":"ecs-tasks.amazonaws.com"}`, `{"AWS":"me"}`, 1), `Invalid principal in policy: "AWS":"me"`},
		{"principal's type", TrustPolicy, strings.Replace(trust, `"Service"`, `"service"`, 1), syntaxErrors},
	}
	for _, tt := range tests {
		_, err := ParsePolicy(tt.kind, tt.text)
		var bad *MalformedError
		switch {
		case tt.want == "" && err != nil:
			t.Errorf("%s: %v", tt.name, err)
		case tt.want != "" && (!errors.As(err, &bad) || !strings.HasPrefix(bad.Message, tt.want)):
			t.Errorf("%s: %v, want %s", tt.name, err, tt.want)
		}
	}
}

func TestTrusts(t *testing.T) {
	const admin, session, account = "arn:aws:iam::000000000000:user/admin", "arn:aws:sts::000000000000:assumed-role/app/s", "000000000000"
	statement := func(rest string) string {
		return `{"Statement":[{"Effect":"Allow","Action":"sts:AssumeRole",` + rest + `}]}`
	}
	tests := []struct {
		name, text, principal, external string
		want                            bool
	}{
		{"a service", trust, admin, "", false},
		{"the account's root", statement(`"Principal":{"AWS":"arn:aws:iam::000000000000:root"}`), admin, "", true},
		{"the account", statement(`"Principal":{"AWS":["111111111111","000000000000"]}`), session, "", true},
		{"another account", statement(`"Principal":{"AWS":"111111111111"}`), admin, "", false},
		{"a role", statement(`"Principal":{"AWS":"arn:aws:iam::000000000000:role/app"}`), session, "", true},
		{"another role", statement(`"Principal":{"AWS":"arn:aws:iam::000000000000:role/other"}`), session, "", false},
		{"everybody", statement(`"Principal":"*"`), admin, "", true},
		{"external id", statement(`"Principal":"*","Condition":{"StringEquals":{"sts:ExternalId":"x"}}`), admin, "x", true},
		{"wrong external id", statement(`"Principal":"*","Condition":{"StringEquals":{"sts:ExternalId":"x"}}`), admin, "y", false},
		{"other condition", statement(`"Principal":"*","Condition":{"Bool":{"aws:MultiFactorAuthPresent":"true"}}`), admin, "", false},
		{"deny", `{"Statement":[{"Effect":"Allow","Action":"sts:*","Principal":"*"},{"Effect":"Deny","Action":"sts:AssumeRole","Principal":{"AWS":"` + admin + `"}}]}`, admin, "", false},
	}
	for _, tt := range tests {
		p, err := ParsePolicy(TrustPolicy, tt.text)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if got := p.Trusts(tt.principal, account, tt.external); got != tt.want {
			t.Errorf("%s: %t", tt.name, got)
		}
	}
}

func FuzzParsePolicy(f *testing.F) {
	f.Add(trust)
	f.Add(`{"Version":"2012-10-17","Statement":{"Effect":"Deny","NotAction":["a:*"],"NotResource":"*","Condition":{"Bool":{"a:b":[true,1,"x"]}}}}`)
	f.Fuzz(func(t *testing.T, text string) {
		for _, kind := range []PolicyKind{IdentityPolicy, TrustPolicy} {
			p, err := ParsePolicy(kind, text)
			if err != nil {
				continue
			}
			if len(p.Statements) == 0 {
				t.Error("a policy without statements was taken")
			}
			p.Trusts("arn:aws:sts::1:assumed-role/a/b", "1", "")
		}
	})
}

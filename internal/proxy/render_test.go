package proxy

import (
	"context"
	"flag"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write golden files")

var testNodes = []Node{
	{Name: "a", Address: netip.MustParseAddr("10.0.1.5")},
	{Name: "b", Address: netip.MustParseAddr("10.0.2.5")},
}

func server(s string) Server { return Server{Address: netip.MustParseAddrPort(s)} }

func forward(groups ...string) Action {
	a := Action{}
	for _, g := range groups {
		a.Forward = append(a.Forward, Weighted{Group: g, Weight: 1})
	}
	return a
}

func configs() map[string]Config {
	return map[string]Config{
		"plain": {
			StatsSocket: "/run/lb/stats.sock", Nodes: testNodes, Threads: 2, MaxFiles: 1000, ClientKeepAlive: time.Hour, User: "haproxy", Group: "haproxy",
			Listeners: []Listener{{Port: 80, Default: forward("web")}},
			Groups:    []Group{{Name: "web", Algorithm: RoundRobin, Servers: []Server{server("10.0.3.7:8080"), {Address: netip.MustParseAddrPort("10.0.4.7:8080"), Disabled: true}}}},
		},
		"rules": {
			StatsSocket: "/run/lb/stats.sock", Nodes: testNodes[:1], IdleTimeout: 4000 * time.Second, DropInvalidHeader: true, ForwardedPort: true,
			Listeners: []Listener{
				{Port: 80, Default: Action{Fixed: &Fixed{Status: 404, ContentType: "text/plain", Body: "it's\nnot \"here\" 100%"}},
					Rules: []Rule{
						{Name: "priority 1", Conditions: []Condition{{Field: FieldPath, Values: []string{"/api/*", "/v?/a.b"}}, {Field: FieldHost, Values: []string{"*.example.com", "Example.org"}}}, Action: forward("api")},
						{Name: "priority 2", Conditions: []Condition{{Field: FieldMethod, Values: []string{"GET", "PURGE"}}, {Field: FieldSourceIP, Values: []string{"10.0.0.0/8", "192.0.2.1/32"}}}, Action: Action{Redirect: &Redirect{Status: 301, Protocol: "HTTPS", Host: "#{host}", Port: "443", Path: "/#{path}", Query: "#{query}"}}},
						{Name: "priority 3", Conditions: []Condition{{Field: FieldHeader, Header: "User-Agent", Values: []string{"*Chrome*", "it's $HOME"}}, {Field: FieldHeader, Header: "X-A", Values: []string{"1"}}}, Action: Action{Forward: []Weighted{{Group: "api", Weight: 3}, {Group: "web", Weight: 1}, {Group: "old", Weight: 0}}}},
						{Name: "priority 4", Conditions: []Condition{{Field: FieldQuery, Query: []Query{{Key: "version", Value: "v1"}, {Value: `*ex\*ample*`}}}}, Action: Action{Forward: []Weighted{{Group: "web", Weight: 0}}}},
					}},
				{Port: 8080, Default: Action{Redirect: &Redirect{Status: 302, Protocol: "#{protocol}", Host: "new.#{host}", Port: "#{port}", Path: "/a%20b/#{path}", Query: "x=1&#{query}"}},
					HideServer: true, SetHeaders: []Header{{Name: "Strict-Transport-Security", Value: "max-age=1; 50%"}}},
			},
			Groups: []Group{{Name: "api", Algorithm: LeastOutstanding, Servers: []Server{server("10.0.3.7:80")}}, {Name: "web", Algorithm: RoundRobin, SlowStart: 30 * time.Second, TLS: true, Servers: []Server{server("10.0.3.8:443")}},
				{Name: "old", Algorithm: WeightedRandom, Servers: []Server{server("[2001:db8::1]:80")}}},
		},
	}
}

func TestRender(t *testing.T) {
	for name, c := range configs() {
		t.Run(name, func(t *testing.T) {
			got, err := Render(c)
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join("testdata", name+".cfg")
			if *update {
				if err := os.MkdirAll("testdata", 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(got.Text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got.Text); diff != "" {
				t.Errorf("configuration differs (-want +got):\n%s", diff)
			}
			if _, err := exec.LookPath("haproxy"); err != nil {
				t.Skip("haproxy is not installed: the configuration is not checked by it")
			}
			if err := Check(context.Background(), "haproxy", path); err != nil {
				t.Error(err)
			}
		})
	}
}

// A change of servers must not look like a change of structure, and nothing else must.
func TestStructure(t *testing.T) {
	base := configs()["plain"]
	first, err := Render(base)
	if err != nil {
		t.Fatal(err)
	}
	more := base
	more.Groups = []Group{{Name: "web", Algorithm: RoundRobin, Servers: []Server{server("10.0.9.9:1")}}}
	second, err := Render(more)
	if err != nil {
		t.Fatal(err)
	}
	if first.Structure != second.Structure || first.Text == second.Text {
		t.Errorf("structures %s and %s of texts that differ in servers only", first.Structure, second.Structure)
	}
	more.IdleTimeout = time.Second
	third, err := Render(more)
	if err != nil {
		t.Fatal(err)
	}
	if third.Structure == second.Structure {
		t.Error("another time-out has the same structure")
	}
}

func TestRenderRefuses(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"unknown group":   func(c *Config) { c.Listeners = []Listener{{Port: 80, Default: forward("nothing")}} },
		"same port":       func(c *Config) { c.Listeners = append(c.Listeners, c.Listeners[0]) },
		"no action":       func(c *Config) { c.Listeners = []Listener{{Port: 80}} },
		"bad group name":  func(c *Config) { c.Groups[0].Name = "a b" },
		"no socket":       func(c *Config) { c.StatsSocket = "" },
		"bad header name": func(c *Config) { c.Listeners[0].SetHeaders = []Header{{Name: "a b", Value: "c"}} },
	} {
		c := configs()["plain"]
		change(&c)
		if _, err := Render(c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestServerName(t *testing.T) {
	for _, s := range []string{"10.0.1.5:80", "[2001:db8::1]:65535"} {
		a := netip.MustParseAddrPort(s)
		if got, ok := ParseServerName(ServerName(a)); !ok || got != a {
			t.Errorf("%s came back as %v, %v", s, got, ok)
		}
	}
	for _, s := range []string{"", "t-", "t-1.2.3.4", "x-1.2.3.4-80", "t-1.2.3.4-080", "t-1.2.3.4-65536"} {
		if _, ok := ParseServerName(s); ok {
			t.Errorf("%q parsed", s)
		}
	}
}

func FuzzServerName(f *testing.F) {
	f.Add("t-10.0.1.5-80")
	f.Fuzz(func(t *testing.T, s string) {
		if a, ok := ParseServerName(s); ok && ServerName(a) != s {
			t.Errorf("%q is %v is %q", s, a, ServerName(a))
		}
	})
}

// Whatever a user writes stays one word of one line.
func FuzzQuote(f *testing.F) {
	f.Add("it's\n")
	f.Fuzz(func(t *testing.T, s string) {
		q := quote(s)
		if strings.ContainsAny(q, "\n\r\x00") {
			t.Errorf("%q became %q", s, q)
		}
		if strings.Count(q, "'")%2 != 0 {
			t.Errorf("%q became %q", s, q)
		}
	})
}

func TestParseServersState(t *testing.T) {
	text := `1
# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_port
5 g-web-a 1 t-10.0.0.1-80 10.0.0.1 0 1 1 80
5 g-web-a 2 t-10.0.0.2-80 10.0.0.2 2 0 1 80
5 g-web-a 3 t-10.0.0.3-80 10.0.0.3 2 8 1 80

`
	got, err := parseServersState(text)
	if err != nil {
		t.Fatal(err)
	}
	want := []ServerStatus{
		{Backend: "g-web-a", Name: "t-10.0.0.1-80", Address: "10.0.0.1:80", State: Maint},
		{Backend: "g-web-a", Name: "t-10.0.0.2-80", Address: "10.0.0.2:80", State: Ready},
		{Backend: "g-web-a", Name: "t-10.0.0.3-80", Address: "10.0.0.3:80", State: Drain},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

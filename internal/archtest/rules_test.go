package archtest

import "testing"

// A rule that matches nothing would let everything pass: each is shown to bite.
func TestRulesBite(t *testing.T) {
	cases := []struct{ pkg, imp string }{
		{"internal/model", "go.etcd.io/etcd/client/v3"},
		{"internal/linux/nft", module + "internal/model"},
		{"internal/control/deploy", module + "internal/awsapi/ecsapi"},
		{"internal/api/ecs", module + "internal/control/deploy"},
		{"internal/control/place", module + "internal/container"},
		{"internal/node/task", module + "internal/control/deploy"},
		{"internal/fabric/firewall", module + "internal/linux/nft"},
		{"internal/store", module + "cmd/neargate"},
		{"test/harness", module + "cmd/neargate"},
		{"internal/fabric/route", "github.com/vishvananda/netlink"},
		{"internal/fabric", module + "internal/store"},
		{"internal/keeper/logship", module + "internal/model"},
		{"internal/node/task", module + "internal/store/storetest"},
		{"internal/stack", "testing"},
		{"internal/cli", module + "test/harness"},
		{"internal/wire", "log"},
		{"internal/dns", "github.com/stretchr/testify/require"},
		{"internal/api/ec2", "os/exec"},
	}
	for _, c := range cases {
		found := false
		for _, r := range rules {
			found = found || (r.covers(c.pkg) && r.forbids(c.imp))
		}
		if !found {
			t.Errorf("no rule forbids %s to import %s", c.pkg, c.imp)
		}
	}
}

func TestPurityBites(t *testing.T) {
	for _, path := range []string{"os", "net", "crypto/rand", module + "internal/store", module + "internal/store/mem", module + "internal/linux/nft", "golang.org/x/sys/unix"} {
		if _, bad := impurity(path); !bad {
			t.Errorf("a pure file may import %s", path)
		}
	}
	for _, path := range []string{"net/netip", "time", "slices", module + "internal/model"} {
		if why, bad := impurity(path); bad {
			t.Errorf("a pure file must not import %s: %s", path, why)
		}
	}
	for file, want := range map[string]bool{"plan.go": true, "a/b/plan_stop.go": true, "compile.go": true, "compile_task.go": true, "planner.go": false, "recompile.go": false} {
		if isPure(file) != want {
			t.Errorf("isPure(%s) is %t", file, !want)
		}
	}
}

func TestDocRuleBites(t *testing.T) {
	cases := []struct {
		source map[string][]byte
		ok     bool
	}{
		{map[string][]byte{"a.go": []byte("package a")}, false},
		{map[string][]byte{"a.go": []byte("// Package a is.\npackage a")}, true},
		{map[string][]byte{"a.go": []byte("// Package a is.\npackage a"), "b.go": []byte("// Package a is.\npackage a")}, false},
		{map[string][]byte{"a.go": []byte("// Package a is.\npackage a"), "b.go": []byte("package a"), "c.go": []byte("package a"), "d.go": []byte("package a")}, false},
		{map[string][]byte{"a.go": []byte("// Package a is. Start\n// at [A].\npackage a"), "b.go": []byte("package a"), "c.go": []byte("package a"), "d.go": []byte("package a")}, true},
	}
	for i, c := range cases {
		if why := undocumented(t, c.source); (why == "") != c.ok {
			t.Errorf("case %d: %q", i, why)
		}
	}
}

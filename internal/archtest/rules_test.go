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

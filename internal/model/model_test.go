package model

import (
	"net/netip"
	"strings"
	"testing"
)

func TestIDs(t *testing.T) {
	for _, prefix := range []string{PrefixVPC, PrefixENI, PrefixENIAttachment, PrefixSecurityGroupRule} {
		id := NewID(prefix)
		if !IsID(prefix, id) || len(id) != len(prefix)+1+17 {
			t.Errorf("NewID(%q) = %q", prefix, id)
		}
	}
	for _, wrong := range []string{"", "vpc-", "vpc-xyz", "vpc-0123456789ABCDEF0", "subnet-0123456789abcdef0"} {
		if IsID(PrefixVPC, wrong) {
			t.Errorf("IsID(vpc, %q)", wrong)
		}
	}
	if id := NewTaskID(); len(id) != 32 || !isLowerHex(id) {
		t.Errorf("NewTaskID() = %q", id)
	}
	if id := NewDeploymentID(); !strings.HasPrefix(id, "ecs-svc/") || len(id) != len("ecs-svc/")+19 || id[8] == '0' {
		t.Errorf("NewDeploymentID() = %q", id)
	}
}

// Names in the kernel lead back to their records, and nothing else is taken for ours.
func TestKernelNames(t *testing.T) {
	vpc, nat, task, lb := NewID(PrefixVPC), NewID(PrefixNatGateway), NewTaskID(), Hex(16)
	for name, want := range map[string][2]string{
		VPCNetns(vpc): {"vpc", vpc}, NatNetns(nat): {"nat", nat}, TaskNetns(task): {"task", task}, LoadBalancerNetns(lb): {"lb", lb}, EdgeNetns: {"edge", ""},
	} {
		kind, id, ok := ParseNetns(name)
		if !ok || kind != want[0] || id != want[1] {
			t.Errorf("ParseNetns(%q) = %q, %q, %v", name, kind, id, ok)
		}
	}
	if _, _, ok := ParseNetns("docker0"); ok {
		t.Error("a foreign namespace is taken for ours")
	}
	if name := VethName(NewID(PrefixENI)); len(name) > 15 || !IsVethName(name) {
		t.Errorf("VethName = %q", name)
	}
	for _, foreign := range []string{"eth0", "nginx0", "ng", "ngXYZ"} {
		if IsVethName(foreign) {
			t.Errorf("IsVethName(%q)", foreign)
		}
	}
}

func FuzzParseNetns(f *testing.F) {
	f.Add("ng-vpc-0123456789abcdef0")
	f.Add("ng-")
	f.Fuzz(func(t *testing.T, name string) {
		kind, id, ok := ParseNetns(name)
		if !ok {
			return
		}
		again := map[string]func(string) string{"vpc": VPCNetns, "nat": NatNetns, "task": TaskNetns, "lb": LoadBalancerNetns, "edge": func(string) string { return EdgeNetns }}[kind](id)
		if again != name {
			t.Errorf("%q is parsed to %s %q, which is called %q", name, kind, id, again)
		}
	})
}

func FuzzParseARN(f *testing.F) {
	f.Add("arn:aws:ecs:us-east-1:000000000000:service/c/s")
	f.Add("arn:aws:iam::000000000000:role/a:b")
	f.Fuzz(func(t *testing.T, text string) {
		if a, ok := ParseARN(text); ok && a.String() != text {
			t.Errorf("%q becomes %q", text, a)
		}
	})
}

func TestZones(t *testing.T) {
	for region, want := range map[string]string{"us-east-1": "use1-az1", "ap-northeast-1": "apne1-az1", "eu-central-1": "euc1-az1"} {
		if got := Zones(region)[0].ID; got != want {
			t.Errorf("first zone of %s is %s, want %s", region, got, want)
		}
	}
}

func TestAddresses(t *testing.T) {
	if got := FrontDoor(netip.MustParseAddr("198.18.7.9")); got != netip.MustParseAddr("127.18.7.9") {
		t.Errorf("front door %s", got)
	}
	if got := PrivateDNSName("us-east-1", netip.MustParseAddr("10.0.1.5")); got != "ip-10-0-1-5.ec2.internal" {
		t.Errorf("private name %s", got)
	}
	seen := map[netip.Addr]string{}
	for _, s := range ServiceNames(Scope{Account: "000000000000", Region: "eu-west-1"}) {
		if other, taken := seen[s.Address]; taken || !ServicePool.Contains(s.Address) {
			t.Errorf("%s and %s have %s", s.Host, other, s.Address)
		}
		seen[s.Address] = s.Host
	}
}

func TestShareProviders(t *testing.T) {
	strategy := []CapacityProviderStrategy{{Provider: "FARGATE", Base: 1, Weight: 1}, {Provider: "FARGATE_SPOT", Weight: 4}}
	count := map[string]int{}
	for _, p := range ShareProviders(strategy, 11) {
		count[p]++
	}
	if count["FARGATE"] != 3 || count["FARGATE_SPOT"] != 8 { // the base, and then one to four of ten
		t.Errorf("shares %v", count)
	}
	if got := ShareProviders(nil, 2); len(got) != 2 || got[0] != "" {
		t.Errorf("without a strategy: %q", got)
	}
}

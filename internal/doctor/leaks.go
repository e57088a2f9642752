package doctor

import (
	"fmt"
	"strings"

	"github.com/neargate/neargate/internal/model"
)

// Records are the identifiers that the daemon has records of. Nil stands for a daemon that does not run.
type Records struct {
	VPCs          map[string]bool
	NATGateways   map[string]bool
	Tasks         map[string]bool // those that are not STOPPED
	LoadBalancers map[string]bool // the 16 digits that end their ARNs
}

// Leak is something of ours that no record asks for.
type Leak struct {
	Kind string `json:"kind"` // process, namespace, cgroup, mount, interface, nftables table, folder
	Name string `json:"name"`
	Why  string `json:"why"`
}

// String returns the leak as a line for people.
func (l Leak) String() string { return l.Kind + " " + l.Name + ": " + l.Why }

// Leaks returns what of an inventory is left over. Without a daemon nothing should run or be in the kernel, but for files
// nobody knows whether they are wanted.
func Leaks(inv *Inventory, records *Records) (leaks []Leak) {
	add := func(kind, name, why string) { leaks = append(leaks, Leak{Kind: kind, Name: name, Why: why}) }
	for _, p := range inv.Processes {
		if why := records.missesProcess(p); why != "" {
			add("process", fmt.Sprintf("%d (%s, %s)", p.PID, p.Name, p.Role), why)
		}
	}
	for _, n := range inv.Namespaces {
		kind, id, _ := model.ParseNetns(n)
		if why := records.misses(kind, id); why != "" {
			add("namespace", n, why)
		}
	}
	for _, g := range inv.Groups {
		if why := records.misses("task", g); why != "" {
			add("cgroup", cgroupRoot+"/"+g, why)
		}
	}
	for _, m := range inv.Mounts {
		id := taskID(m)
		switch {
		case records == nil:
			add("mount", m, notRunning)
		case id != "" && !records.Tasks[id]:
			add("mount", m, "there is no running task "+id)
		}
	}
	for _, i := range inv.Interfaces {
		add("interface", i, "it is in the host's own namespace, where none of ours belongs")
	}
	for _, t := range inv.Tables {
		add("nftables table", t, "it is in the host's own namespace, where none of ours belongs")
	}
	for _, f := range inv.Folders {
		kind, id, _ := strings.Cut(f, "/")
		if records != nil {
			if why := records.misses(strings.TrimSuffix(kind, "s"), id); why != "" {
				add("folder", f, why)
			}
		}
	}
	return leaks
}

const notRunning = "Neargate is not running"

// missesProcess returns why a process should not be there, nothing if it should.
func (r *Records) missesProcess(p Process) string {
	switch {
	case r == nil && p.Role != RoleDaemon:
		return notRunning
	case r == nil, p.Role == RoleDaemon, p.Role == RoleKeeper, p.Role == RoleContainerd:
		return ""
	case p.Role == RoleHAProxy:
		return r.misses("lb", p.Owner)
	}
	return r.misses("task", p.Owner)
}

// misses returns why something of a kind, in the words of model.ParseNetns, should not be there.
func (r *Records) misses(kind, id string) string {
	if r == nil {
		return notRunning
	}
	has, noun := map[string]bool{"": true}, ""
	switch kind {
	case "edge":
		return ""
	case "vpc":
		has, noun = r.VPCs, "VPC"
	case "nat":
		has, noun = r.NATGateways, "NAT gateway"
	case "lb":
		has, noun = r.LoadBalancers, "load balancer"
	case "task":
		has, noun = r.Tasks, "running task"
	}
	if has[id] {
		return ""
	}
	return "there is no " + noun + " " + id
}

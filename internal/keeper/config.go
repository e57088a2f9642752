package keeper

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/neargate/neargate/internal/dns"
	"github.com/neargate/neargate/internal/keeper/health"
	"github.com/neargate/neargate/internal/keeper/logship"
	"github.com/neargate/neargate/internal/keeper/metadata"
)

// Kind is a kind of configuration object.
type Kind string

// The kinds.
const (
	KindResolver     Kind = "resolver"
	KindTask         Kind = "task"
	KindLoadBalancer Kind = "loadbalancer"
	KindDoor         Kind = "door"
	KindEndpoint     Kind = "endpoint"
)

// Resolver is the DNS of one VPC.
type Resolver struct {
	ID    string `json:"id"`    // the VPC's
	Netns string `json:"netns"` // the VPC's namespace
	// Addresses to answer on, port 53 over UDP and TCP: the VPC's base+2 and 169.254.169.253. They may be put on an
	// interface later than here. None: nobody answers, as without enableDnsSupport.
	Addresses []netip.Addr `json:"addresses,omitempty"`
	Zone      dns.Zone     `json:"zone"`
}

// Task is what one task needs: its metadata and credentials, and the shipping of its output.
type Task struct {
	ID    string `json:"id"`
	Netns string `json:"netns"`
	// Address is where metadata is served, 169.254.170.2:80; unset: not at all. The listener is not in the task's own
	// namespace, where it would keep the task from listening on that port, but in the VPC's, on the task's interface.
	// Without them it is in Netns, on any interface.
	Address        netip.AddrPort   `json:"address,omitzero"`
	MetadataNetns  string           `json:"metadataNetns,omitempty"`
	MetadataDevice string           `json:"metadataDevice,omitempty"`
	Metadata       metadata.Config  `json:"metadata"`
	Logs           []logship.Config `json:"logs,omitempty"`
}

// LoadBalancerChecks are the health checks of one load balancer.
type LoadBalancerChecks struct {
	ID     string        `json:"id"`
	Netns  string        `json:"netns"`
	Checks health.Config `json:"checks"`
}

// Door is the front door of one public address: loopback listeners on the host that lead into the edge.
type Door struct {
	ID     string     `json:"id"`
	Listen netip.Addr `json:"listen"` // 127.18.a.b, in the keeper's own namespace
	TCP    []uint16   `json:"tcp,omitempty"`
	UDP    []uint16   `json:"udp,omitempty"`
	Netns  string     `json:"netns"`  // where connections are made from: ng-edge
	Source netip.Addr `json:"source"` // 198.19.255.1
	Target netip.Addr `json:"target"` // 198.18.a.b; the same port
}

// Endpoint is a listener of an AWS service address that hands connections to the daemon.
type Endpoint struct {
	ID     string           `json:"id"`
	Netns  string           `json:"netns"`
	Listen []netip.AddrPort `json:"listen"` // 198.19.0.x:443; they may be put on an interface later than here
	// Socket is the daemon's Unix socket. Each connection begins with a PROXY v2 header.
	Socket string `json:"socket"`
}

// Batch is any number of objects of any kind, put in this order.
type Batch struct {
	Resolvers     []Resolver           `json:"resolvers,omitempty"`
	Tasks         []Task               `json:"tasks,omitempty"`
	LoadBalancers []LoadBalancerChecks `json:"loadBalancers,omitempty"`
	Doors         []Door               `json:"doors,omitempty"`
	Endpoints     []Endpoint           `json:"endpoints,omitempty"`
}

// Validate reports what is wrong with the object.
func (r Resolver) Validate() error {
	return checkPlace(r.ID, r.Netns)
}

// Validate reports what is wrong with the object.
func (t Task) Validate() error {
	if err := checkPlace(t.ID, t.Netns); err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, l := range t.Logs {
		if err := l.Validate(); err != nil {
			return err
		}
		if seen[l.Spool] {
			return fmt.Errorf("spool %s is listed twice", l.Spool)
		}
		seen[l.Spool] = true
	}
	return nil
}

// Validate reports what is wrong with the object.
func (l LoadBalancerChecks) Validate() error {
	if err := checkPlace(l.ID, l.Netns); err != nil {
		return err
	}
	return l.Checks.Validate()
}

// Validate reports what is wrong with the object.
func (d Door) Validate() error {
	if err := checkPlace(d.ID, d.Netns); err != nil {
		return err
	}
	if !d.Listen.IsLoopback() {
		return fmt.Errorf("front door address %s is not on loopback", d.Listen)
	}
	if !d.Target.IsValid() {
		return errors.New("no target address")
	}
	return nil
}

// Validate reports what is wrong with the object.
func (e Endpoint) Validate() error {
	if err := checkPlace(e.ID, e.Netns); err != nil {
		return err
	}
	if len(e.Listen) == 0 || e.Socket == "" {
		return errors.New("no listen address or no socket")
	}
	return nil
}

func checkPlace(id, netns string) error {
	switch {
	case id == "":
		return errors.New("no id")
	case netns == "":
		return errors.New("no namespace")
	}
	return nil
}

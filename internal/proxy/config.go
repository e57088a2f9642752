package proxy

import (
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// Config describes one load balancer.
type Config struct {
	// StatsSocket is the path of the runtime API's Unix socket.
	StatsSocket string
	// User and Group are what HAProxy's workers run as; empty keeps the starter's.
	User, Group string
	Threads     int // 0: one per CPU
	MaxFiles    int // most descriptors, two per connection; 0: as many as the process may have

	ConnectTimeout  time.Duration // 0: 10 s, as an ALB has
	IdleTimeout     time.Duration // 0: 60 s
	ClientKeepAlive time.Duration // age at which a client's connection is closed after a response; 0: never

	Forwarded         ForwardedMode // what becomes of X-Forwarded-For; empty: append
	ForwardedPort     bool          // X-Forwarded-For carries the client's port as well
	PreserveHost      bool          // Host goes to the target as it came
	DropInvalidHeader bool          // headers with other characters than letters, digits and dashes are removed

	Nodes     []Node
	Listeners []Listener
	Groups    []Group
}

// ForwardedMode says what becomes of X-Forwarded-For.
type ForwardedMode string

// The modes.
const (
	ForwardedAppend   ForwardedMode = "append"
	ForwardedPreserve ForwardedMode = "preserve"
	ForwardedRemove   ForwardedMode = "remove"
)

// Node is the load balancer's presence in one zone: it answers on its address and connects to targets from it.
type Node struct {
	Name    string // letters and digits
	Address netip.Addr
}

// Listener is a port. Rules are tried in order; Default acts when none of them matches.
type Listener struct {
	Port    int
	Rules   []Rule
	Default Action
	// HideServer removes the Server header of every response; SetHeaders sets headers of every response.
	HideServer bool
	SetHeaders []Header
}

// Header is a header's name with a value.
type Header struct{ Name, Value string }

// Rule acts when all of its conditions hold.
type Rule struct {
	Name       string // for comments: "priority 10"
	Conditions []Condition
	Action     Action
}

// Field is what a condition looks at.
type Field int

// The fields of a request.
const (
	FieldPath     Field = iota + 1 // case-sensitive, wildcards
	FieldHost                      // case-insensitive, wildcards, without the port
	FieldHeader                    // of Condition.Header; case-insensitive, wildcards
	FieldMethod                    // exact
	FieldQuery                     // Condition.Query; case-insensitive, wildcards
	FieldSourceIP                  // prefixes, of the peer's address
)

// Condition holds when one of its values matches. In wildcards, * is any number of characters and ? is one.
type Condition struct {
	Field  Field
	Header string
	Values []string
	Query  []Query
}

// Query matches a parameter of the query string; without a key any parameter's value, or a parameter without "=".
// A backslash takes the meaning from a following * or ?.
type Query struct{ Key, Value string }

// Action is what is done with a request: exactly one member is set.
type Action struct {
	Forward  []Weighted
	Redirect *Redirect
	Fixed    *Fixed
}

// Weighted is a group with its share of the requests.
type Weighted struct {
	Group  string
	Weight int
}

// Redirect answers with a Location; the parts may hold #{protocol}, #{host}, #{port}, #{path} and #{query}.
type Redirect struct {
	Status                            int // 301, 302
	Protocol, Host, Port, Path, Query string
}

// Fixed answers by itself.
type Fixed struct {
	Status            int
	ContentType, Body string
}

// Algorithm chooses a server of a group.
type Algorithm string

// The algorithms.
const (
	RoundRobin       Algorithm = "roundrobin"
	LeastOutstanding Algorithm = "leastconn"
	WeightedRandom   Algorithm = "random(1)"
)

// Group is a set of servers. Every node has a backend of its own for it, see [BackendName].
type Group struct {
	Name      string // letters, digits and dashes
	Algorithm Algorithm
	SlowStart time.Duration
	TLS       bool          // servers speak HTTPS; their certificates are not looked at, as an ALB does not
	Idle      time.Duration // how long idle connections to servers are kept; 0: 5 s
	Servers   []Server
}

// Server is one target. Disabled renders it out of service, until the runtime API says otherwise; Draining does too, and
// means that it gets no new request for good.
type Server struct {
	Address            netip.AddrPort
	Disabled, Draining bool
}

// Name returns the server's name, the same in every backend of its group.
func (s Server) Name() string { return ServerName(s.Address) }

// ServerName returns the name of the server with that address: t-10.0.1.5-8080.
func ServerName(a netip.AddrPort) string {
	return "t-" + a.Addr().Unmap().String() + "-" + strconv.Itoa(int(a.Port()))
}

// ParseServerName is the inverse of [ServerName].
func ParseServerName(name string) (netip.AddrPort, bool) {
	rest, ok := strings.CutPrefix(name, "t-")
	i := strings.LastIndexByte(rest, '-')
	if !ok || i < 0 {
		return netip.AddrPort{}, false
	}
	addr, err := netip.ParseAddr(rest[:i])
	if err != nil {
		return netip.AddrPort{}, false
	}
	port, err := strconv.ParseUint(rest[i+1:], 10, 16)
	if err != nil {
		return netip.AddrPort{}, false
	}
	a := netip.AddrPortFrom(addr, uint16(port))
	return a, ServerName(a) == name
}

// BackendName returns the backend that a node has for a group.
func BackendName(group, node string) string { return "g-" + group + "-" + node }

func frontendName(port int, node string) string { return "l-" + strconv.Itoa(port) + "-" + node }

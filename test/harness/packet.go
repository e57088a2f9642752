package harness

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/neargate/neargate/internal/linux/netns"
)

// Where packets can come from.
const (
	FromHost = "host" // this machine itself, by the front door
	FromEdge = "edge" // a client on the Internet, 198.19.255.1
)

// outsideClient is the address of clients on the Internet.
var outsideClient = netip.MustParseAddr("198.19.255.1")

// Dial connects from somewhere: FromHost, FromEdge, or the name of a network namespace such as ng-task-<id>.
func Dial(ctx context.Context, from, address string) (net.Conn, error) {
	switch from {
	case FromHost:
		return (&net.Dialer{}).DialContext(ctx, "tcp", address)
	case FromEdge:
		return dialInside(ctx, "ng-edge", address, outsideClient)
	default:
		return dialInside(ctx, from, address, netip.Addr{})
	}
}

// dialInside connects with a socket made in the namespace, from a given address of it or any.
func dialInside(ctx context.Context, namespace, address string, local netip.Addr) (net.Conn, error) {
	ns, err := netns.Open(namespace)
	if err != nil {
		return nil, err
	}
	defer ns.Close()
	return (&netns.Dialer{Namespace: ns, LocalAddr: local}).DialContext(ctx, "tcp", address)
}

// Client returns an HTTP client whose connections come from somewhere and go to one of the addresses; keep is how many
// connections it keeps.
func Client(from string, addresses []string, timeout time.Duration, keep int) *http.Client {
	return &http.Client{
		Timeout: timeout,
		Transport: &http.Transport{
			DialContext:         func(ctx context.Context, _, _ string) (net.Conn, error) { return Dial(ctx, from, pick(addresses)) },
			DisableKeepAlives:   keep == 0,
			MaxIdleConnsPerHost: keep,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Get asks once over a connection of its own and returns the status and the body.
func (d *Daemon) Get(ctx context.Context, from, url string, timeout time.Duration) (int, string, error) {
	return d.GetBegun(ctx, from, url, timeout, make(chan struct{}))
}

// GetBegun is Get, and closes begun when the answer's head is there.
func (d *Daemon) GetBegun(ctx context.Context, from, url string, timeout time.Duration, begun chan<- struct{}) (int, string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, "", err
	}
	addresses, err := d.Address(ctx, hostport(req))
	if err != nil {
		return 0, "", err
	}
	client := Client(from, addresses, timeout, 0)
	defer client.CloseIdleConnections()
	resp, err := client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	close(begun)
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return resp.StatusCode, string(body), fmt.Errorf("read the answer: %w", err)
	}
	return resp.StatusCode, string(body), nil
}

func hostport(r *http.Request) string {
	if r.URL.Port() == "" {
		return net.JoinHostPort(r.URL.Hostname(), "80")
	}
	return r.URL.Host
}

// From turns the word of a story into a place for [Dial]: task:<id> and vpc:<id> become their namespaces.
func From(word string) string {
	kind, id, ok := strings.Cut(word, ":")
	if !ok {
		return word
	}
	id = id[strings.LastIndexByte(id, '/')+1:]
	id = strings.TrimPrefix(id, "vpc-")
	return namespacePrefix + kind + "-" + id
}

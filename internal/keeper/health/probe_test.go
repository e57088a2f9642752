package health

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func plainDial(ctx context.Context, source netip.Addr, network, address string) (net.Conn, error) {
	d := net.Dialer{}
	if source.IsValid() {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(source, 0))
	}
	return d.DialContext(ctx, network, address)
}

func specOf(address string) TargetSpec {
	ap := netip.MustParseAddrPort(address)
	return TargetSpec{ID: address, Address: ap.Addr(), Port: ap.Port(), Source: netip.MustParseAddr("127.0.0.3")}
}

// raw serves connections with fn.
func raw(t *testing.T, fn func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { defer c.Close(); fn(c) }()
		}
	}()
	return l.Addr().String()
}

func TestProbe(t *testing.T) {
	closed, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	answer := func(text string) string {
		return raw(t, func(c net.Conn) {
			_, _ = c.Read(make([]byte, 4096))
			_, _ = io.WriteString(c, text)
		})
	}
	silent := raw(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	tests := []struct {
		title, address, protocol, matcher string
		want                              Outcome
	}{
		{"200", answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"), HTTP, "", passed},
		{"HTTP/1.0", answer("HTTP/1.0 200 OK\r\n\r\nok"), HTTP, "", passed},
		{"204 without body", answer("HTTP/1.1 204 No Content\r\n\r\n"), HTTP, "200-299", passed},
		{"redirects are not followed", answer("HTTP/1.1 301 Moved\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n"), HTTP, "200", mismatch(301)},
		{"404", answer("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"), HTTP, "", mismatch(404)},
		{"continue first", answer("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), HTTP, "", passed},
		{"no HTTP", answer("SSH-2.0-OpenSSH\r\n"), HTTP, "", failed},
		{"nothing", answer(""), HTTP, "", failed},
		{"endless header", answer("HTTP/1.1 200 OK\r\n" + strings.Repeat("A: "+strings.Repeat("b", 1000)+"\r\n", 100)), HTTP, "", failed},
		{"refused", closed.Addr().String(), HTTP, "", failed},
		{"no answer in time", silent, HTTP, "", timedOut},
		{"TCP open", silent, TCP, "", passed},
		{"TCP refused", closed.Addr().String(), TCP, "", failed},
		{"TLS expected", answer("HTTP/1.1 400 Bad Request\r\n\r\n"), HTTPS, "", failed},
	}
	for _, tt := range tests {
		t.Run(tt.title, func(t *testing.T) {
			g := Group{Protocol: tt.protocol, Matcher: tt.matcher}
			timeout := 5 * time.Second
			if tt.want == timedOut {
				timeout = 50 * time.Millisecond
			}
			if got := probe(context.Background(), plainDial, g, specOf(tt.address), timeout); got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestProbeLooksLikeTheLoadBalancer(t *testing.T) {
	var got string
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		host, _, _ := net.SplitHostPort(r.RemoteAddr)
		got = fmt.Sprintf("%s %s %s %s %s from %s", r.Method, r.URL, r.Proto, r.Host, r.UserAgent(), host)
	}))
	defer server.Close()
	address := server.Listener.Addr().String()
	g := Group{Protocol: HTTP, Path: "/health?deep=1"}
	if o := probe(context.Background(), plainDial, g, specOf(address), 5*time.Second); !o.Passed {
		t.Fatalf("%+v", o)
	}
	if want := "GET /health?deep=1 HTTP/1.1 " + address + " ELB-HealthChecker/2.0 from 127.0.0.3"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestProbeDoesNotVerifyCertificates(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	if o := probe(context.Background(), plainDial, Group{Protocol: HTTPS}, specOf(server.Listener.Addr().String()), 5*time.Second); !o.Passed {
		t.Errorf("%+v", o)
	}
}

func TestProbeFromAnAddressThatIsNotThereIsOurFault(t *testing.T) {
	spec := specOf(raw(t, func(net.Conn) {}))
	spec.Source = netip.MustParseAddr("192.0.2.77")
	if got := probe(context.Background(), plainDial, Group{Protocol: HTTP}, spec, 5*time.Second); got != internalError {
		t.Errorf("got %+v", got)
	}
}

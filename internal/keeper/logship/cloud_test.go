package logship

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/neargate/neargate/internal/dns"
)

const logsHost = "logs.us-east-1.amazonaws.com"

// cloud is a CloudWatch Logs that can misbehave, with the resolver that leads to it.
type cloud struct {
	t       *testing.T
	remote  Remote
	dns     *dns.Resolver
	server  *httptest.Server
	arrived chan struct{} // a call was answered

	mu      sync.Mutex
	groups  map[string]bool
	streams map[string][]stored
	tokens  map[string]string // last of each stream
	faults  []string          // of the next PutLogEvents calls: an error code, "lost" (accepted, no answer), "cut" (neither)
	always  string            // fault of every PutLogEvents call
	calls   []string
}

type stored struct {
	Timestamp int64
	Message   string
}

func newCloud(t *testing.T) *cloud {
	t.Helper()
	c := &cloud{
		t: t, groups: map[string]bool{"/app": true}, streams: map[string][]stored{"app/web/1": nil}, tokens: map[string]string{},
		arrived: make(chan struct{}, 1000),
	}
	cert, authority := certificate(t)
	c.server = httptest.NewUnstartedServer(http.HandlerFunc(c.serve))
	c.server.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	c.server.StartTLS()
	t.Cleanup(c.server.Close)

	c.dns = dns.NewResolver()
	if err := c.dns.Set(dns.Zone{Records: map[string]dns.Record{logsHost: {Addresses: []netip.Addr{netip.MustParseAddr("127.0.0.1")}}}}); err != nil {
		t.Fatal(err)
	}
	pc, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = c.dns.ServePacket(pc) }()
	t.Cleanup(func() { pc.Close() })
	c.remote = Remote{
		Resolver: pc.LocalAddr().(*net.UDPAddr).AddrPort(), Port: uint16(c.server.Listener.Addr().(*net.TCPAddr).Port), CA: authority,
		AccessKeyID: "ASIAEXAMPLE", SecretAccessKey: "secret", Token: "session",
	}
	return c
}

func certificate(t *testing.T) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{logsHost}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	text := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, text
}

func plainDial(ctx context.Context, network, address string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, network, address)
}

func (c *cloud) serve(w http.ResponseWriter, r *http.Request) {
	defer func() { c.arrived <- struct{}{} }()
	operation := strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "Logs_20140328.")
	var in struct {
		LogGroupName, LogStreamName, SequenceToken string
		LogEvents                                  []stored
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler) // the log was closed in the middle of a call
	}
	if err := json.Unmarshal(body, &in); err != nil {
		c.t.Errorf("%s: %v", operation, err)
	}
	auth := r.Header.Get("Authorization")
	if !strings.HasPrefix(auth, "AWS4-HMAC-SHA256 Credential="+c.keyID(r)) || !strings.Contains(auth, "/us-east-1/logs/aws4_request") || !strings.HasPrefix(r.Host, logsHost) {
		c.t.Errorf("%s to %s: authorization %q", operation, r.Host, auth)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls = append(c.calls, operation)
	fail := func(code string) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = fmt.Fprintf(w, `{"__type":"com.amazonaws.logs#%s","message":"because"}`, code)
	}
	switch operation {
	case "CreateLogGroup":
		c.groups[in.LogGroupName] = true
	case "CreateLogStream":
		if !c.groups[in.LogGroupName] {
			fail("ResourceNotFoundException")
			return
		}
		if _, ok := c.streams[in.LogStreamName]; ok {
			fail("ResourceAlreadyExistsException")
			return
		}
		c.streams[in.LogStreamName] = nil
	case "PutLogEvents":
		fault := c.always
		if len(c.faults) > 0 {
			fault, c.faults = c.faults[0], c.faults[1:]
		}
		switch fault {
		case "", "lost":
		case "cut":
			panic(http.ErrAbortHandler)
		default:
			fail(fault)
			return
		}
		if _, ok := c.streams[in.LogStreamName]; !ok {
			fail("ResourceNotFoundException")
			return
		}
		token, ok := ParseToken(in.SequenceToken)
		if !ok {
			c.t.Errorf("token %q", in.SequenceToken)
		}
		if last, ok := ParseToken(c.tokens[in.LogStreamName]); ok && last.Spool == token.Spool && token.Start < last.End && token.End > last.End {
			w.WriteHeader(http.StatusBadRequest)
			expected := Token{Spool: last.Spool, Start: last.End, End: last.End}
			_, _ = fmt.Fprintf(w, `{"__type":"InvalidSequenceTokenException","message":"because","expectedSequenceToken":%q}`, expected)
			return
		}
		if c.tokens[in.LogStreamName] != in.SequenceToken { // as our logs API does
			c.tokens[in.LogStreamName] = in.SequenceToken
			c.store(in.LogStreamName, in.LogEvents)
		}
		if fault == "lost" {
			panic(http.ErrAbortHandler)
		}
	default:
		c.t.Errorf("operation %q", operation)
	}
	_, _ = w.Write([]byte("{}"))
}

func (c *cloud) keyID(r *http.Request) string {
	if r.Header.Get("X-Amz-Security-Token") == "" {
		c.t.Error("no session token")
	}
	return "ASIAEXAMPLE"
}

// store keeps a batch, and checks what PutLogEvents demands of one.
func (c *cloud) store(stream string, events []stored) {
	size := 0
	for i, e := range events {
		size += len(e.Message) + eventOverhead
		if i > 0 && e.Timestamp < events[i-1].Timestamp {
			c.t.Error("events are not in order")
		}
	}
	if len(events) == 0 || len(events) > maxBatchEvents || size > maxBatchBytes {
		c.t.Errorf("batch of %d events, %d bytes", len(events), size)
	}
	c.streams[stream] = append(c.streams[stream], events...)
}

func (c *cloud) misbehave(faults ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.faults = faults
}

func (c *cloud) setAlways(fault string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.always = fault
}

func (c *cloud) events(stream string) []stored {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]stored(nil), c.streams[stream]...)
}

func (c *cloud) messages() (out []string) {
	for _, e := range c.events("app/web/1") {
		out = append(out, e.Message)
	}
	return out
}

// await waits until the condition holds; it looks after every call that the cloud has answered.
func (c *cloud) await(what string, holds func() bool) {
	c.t.Helper()
	timeout := time.After(30 * time.Second)
	for !holds() {
		select {
		case <-c.arrived:
		case <-time.After(5 * time.Millisecond):
		case <-timeout:
			c.t.Fatalf("waited in vain for %s; calls %v, %d messages", what, c.calls, len(c.messages()))
		}
	}
}

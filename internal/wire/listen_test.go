package wire_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/pires/go-proxyproto"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/stsapi"
	"github.com/neargate/neargate/internal/pki"
	"github.com/neargate/neargate/internal/wire"
)

// source answers with the caller's address and the name that was called.
type source struct{}

func (source) GetCallerIdentity(ctx context.Context, _ *stsapi.GetCallerIdentityInput) (*stsapi.GetCallerIdentityOutput, error) {
	r := awsapi.RequestFrom(ctx)
	return &stsapi.GetCallerIdentityOutput{Account: aws.String(r.SourceAddr.String()), Arn: &r.Host}, nil
}

// TestEdgeSocket calls as a task does: TLS to a service name, passed on over the socket behind a PROXY header.
func TestEdgeSocket(t *testing.T) {
	ca, err := pki.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	const name = "sts.us-east-1.amazonaws.com"
	path := filepath.Join(t.TempDir(), "edge.sock")
	s := newServer()
	s.Mount(stsapi.Description(), source{})
	for range 2 { // a second time: the socket of a daemon that was killed is in the way
		ln, err := wire.ListenEdge(path, ca.TLSConfig(func(host string) bool { return host == name }))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- s.Serve(ctx, ln) }()

		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(ca.BundlePEM())
		transport := &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true,
			DialContext: func(context.Context, string, string) (net.Conn, error) {
				conn, err := net.Dial("unix", path)
				if err != nil {
					return nil, err
				}
				from := net.TCPAddrFromAddrPort(netip.MustParseAddrPort("10.0.1.2:40000"))
				to := net.TCPAddrFromAddrPort(netip.MustParseAddrPort("198.19.0.4:443"))
				_, err = proxyproto.HeaderProxyFromAddrs(2, from, to).WriteTo(conn)
				return conn, err
			},
		}
		cfg := config("https://"+name, "test", "test", "")
		cfg.HTTPClient = &http.Client{Transport: transport}
		out, err := sts.NewFromConfig(cfg).GetCallerIdentity(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if *out.Account != "10.0.1.2" || *out.Arn != name {
			t.Errorf("called from %s, name %s", *out.Account, *out.Arn)
		}
		transport.CloseIdleConnections()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func TestEdgeSocketWantsProxyHeader(t *testing.T) {
	ca, err := pki.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "edge.sock")
	ln, err := wire.ListenEdge(path, ca.TLSConfig(func(string) bool { return true }))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- newServer().Serve(ctx, ln) }()
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := tls.Client(conn, &tls.Config{ServerName: "a", InsecureSkipVerify: true}).HandshakeContext(t.Context()); err == nil {
		t.Error("a connection without PROXY header is accepted")
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

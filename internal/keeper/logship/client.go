package logship

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/neargate/neargate/internal/dns"
)

const (
	callTimeout = 15 * time.Second // of one call, dialling included
	connIdle    = 20 * time.Second
	maxAnswer   = 1 << 20
)

// Client calls CloudWatch Logs for one container, from inside the task's namespace: the name is resolved by the VPC's
// resolver, and packets take the task's security groups, routes and gateways.
type Client struct {
	cfg    Config
	http   *http.Client
	signer *v4.Signer
}

// APIError is an error that CloudWatch Logs answered.
type APIError struct {
	Code    string
	Message string
	Status  int
	// Expected is the expectedSequenceToken of an InvalidSequenceTokenException.
	Expected string
}

// Error writes the code and the message as the SDKs do.
func (e *APIError) Error() string { return e.Code + ": " + e.Message }

// hasCode reports whether err is an answer with that code.
func hasCode(err error, codes ...string) bool {
	var api *APIError
	if !errors.As(err, &api) {
		return false
	}
	for _, c := range codes {
		if api.Code == c {
			return true
		}
	}
	return false
}

// NewClient returns a client that connects with dial, which must connect from inside the task's namespace.
func NewClient(cfg Config, dial dns.DialFunc) (*Client, error) {
	return newClient(cfg, dial, func(pem string) (*x509.CertPool, error) { return parsePool(pem) })
}

func newClient(cfg Config, dial dns.DialFunc, pool func(pem string) (*x509.CertPool, error)) (*Client, error) {
	roots, err := pool(cfg.Remote.CA)
	if err != nil {
		return nil, err
	}
	resolver := cfg.Remote.Resolver
	transport := &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			return dialName(ctx, dial, resolver, network, address)
		},
		TLSClientConfig:     &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		MaxConnsPerHost:     1,
		IdleConnTimeout:     connIdle,
		TLSHandshakeTimeout: 10 * time.Second,
		DisableCompression:  true,
	}
	return &Client{cfg: cfg, http: &http.Client{Transport: transport}, signer: v4.NewSigner()}, nil
}

// parsePool reads a PEM bundle; nil for none, which is the host's own roots.
func parsePool(pem string) (*x509.CertPool, error) {
	if pem == "" {
		return nil, nil
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(pem)) {
		return nil, errors.New("no certificate in the CA bundle")
	}
	return pool, nil
}

func dialName(ctx context.Context, dial dns.DialFunc, resolver netip.AddrPort, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	addrs, err := dns.Lookup(ctx, dial, resolver, host)
	if err != nil {
		return nil, err
	}
	var first error
	for _, a := range addrs {
		conn, err := dial(ctx, network, net.JoinHostPort(a.String(), port))
		if err == nil {
			return conn, nil
		}
		if first == nil {
			first = err
		}
	}
	return nil, first
}

// Close releases idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// CreateLogGroup creates the log group; one that exists is fine.
func (c *Client) CreateLogGroup(ctx context.Context) error {
	_, err := c.callJSON(ctx, "CreateLogGroup", map[string]string{"logGroupName": c.cfg.Group})
	if hasCode(err, "ResourceAlreadyExistsException") {
		return nil
	}
	return err
}

// CreateLogStream creates the log stream, and with awslogs-create-group the group before it; a stream that exists is fine.
// The agent does this before a container starts; what it returns is what the task is stopped for.
func (c *Client) CreateLogStream(ctx context.Context) error {
	in := map[string]string{"logGroupName": c.cfg.Group, "logStreamName": c.cfg.Stream}
	_, err := c.callJSON(ctx, "CreateLogStream", in)
	if hasCode(err, "ResourceNotFoundException") && c.cfg.CreateGroup {
		if err := c.CreateLogGroup(ctx); err != nil {
			return err
		}
		_, err = c.callJSON(ctx, "CreateLogStream", in)
	}
	if hasCode(err, "ResourceAlreadyExistsException") {
		return nil
	}
	return err
}

func (c *Client) callJSON(ctx context.Context, operation string, in any) ([]byte, error) {
	body, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	return c.call(ctx, operation, body)
}

// call makes one signed call and returns the body of a successful answer.
func (c *Client) call(ctx context.Context, operation string, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url(), bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", operation, err)
	}
	req.Header.Set("Content-Type", "application/x-amz-json-1.1")
	req.Header.Set("X-Amz-Target", "Logs_20140328."+operation)
	req.Header.Set("User-Agent", "neargate-keeper")
	sum := sha256.Sum256(body)
	creds := aws.Credentials{AccessKeyID: c.cfg.Remote.AccessKeyID, SecretAccessKey: c.cfg.Remote.SecretAccessKey, SessionToken: c.cfg.Remote.Token}
	if err := c.signer.SignHTTP(ctx, creds, req, hex.EncodeToString(sum[:]), "logs", c.cfg.Region, time.Now().UTC()); err != nil {
		return nil, fmt.Errorf("%s: sign: %w", operation, err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", operation, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", operation, err)
	}
	if resp.StatusCode/100 != 2 {
		return nil, fmt.Errorf("%s: %w", operation, parseError(resp.StatusCode, answer))
	}
	return answer, nil
}

func (c *Client) url() string {
	host := c.cfg.Remote.Host
	if host == "" {
		host = "logs." + c.cfg.Region + ".amazonaws.com"
	}
	if p := c.cfg.Remote.Port; p != 0 && p != 443 {
		host += ":" + strconv.Itoa(int(p))
	}
	return "https://" + host + "/"
}

// parseError reads a JSON 1.1 error; __type may have a namespace before the name.
func parseError(status int, body []byte) *APIError {
	var in struct {
		Type     string `json:"__type"`
		Message  string `json:"message"`
		Other    string `json:"Message"`
		Expected string `json:"expectedSequenceToken"`
	}
	_ = json.Unmarshal(body, &in)
	e := &APIError{Code: in.Type[strings.LastIndexByte(in.Type, '#')+1:], Message: in.Message, Status: status, Expected: in.Expected}
	if e.Message == "" {
		e.Message = in.Other
	}
	if e.Code == "" {
		e.Code = http.StatusText(status)
	}
	return e
}

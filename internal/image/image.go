// Package image pulls the images of a task over the task's own network, as Fargate does: authorization from ECR's API,
// manifests from the registry's host, layers from S3, each dialled by a function that the caller hands in. A network that
// would fail the task on AWS fails it here, with AWS's words.
//
// Fargate has no image cache, so an image that this host has already is not taken from here in silence: its manifest is
// resolved over the task's network, and one byte of it is asked for, which takes the redirect to S3. Only the bulk is
// spared. Content is fetched once however many tasks ask for it at the same time (container.Runtime sees to that).
//
// The package runs nothing, stores nothing itself and knows no task. Start at [Session.Pull].
package image

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/neargate/neargate/internal/clock"
	"github.com/neargate/neargate/internal/container"
	"github.com/neargate/neargate/internal/fault"
)

// Time-outs and attempts, in AWS time: they come from the texts and samples in aws-facts 1.4.
const (
	dialTimeout      = 30 * time.Second
	responseTimeout  = 30 * time.Second
	resolveRetries   = 7
	refPullRetries   = 1
	authAttempts     = 3
	firstBackoff     = 500 * time.Millisecond
	longestBackoff   = 5 * time.Second
	shortestTimeout  = time.Second // however fast the clock runs: a busy host is no broken network
	maxManifestBytes = 8 << 20
)

// Dial connects to host:port from inside the task's network, names resolved by the VPC's resolver.
type Dial func(ctx context.Context, network, address string) (net.Conn, error)

// Options of a session.
type Options struct {
	Runtime container.Runtime
	Dial    Dial
	Clock   *clock.Clock
	Roots   *x509.CertPool
	// Credentials are the execution role's; nil when the task has none.
	Credentials  aws.CredentialsProvider
	Architecture string // amd64, arm64; empty: this host's
	UserAgent    string
}

// Session pulls the images of one task. Close it when all are there. It is safe for concurrent use.
type Session struct {
	opts   Options
	client *http.Client

	mu     sync.Mutex
	tokens map[string]string // registry host to its Authorization header
}

// New returns a session; nothing is dialled yet.
func New(o Options) *Session {
	if o.Architecture == "" {
		o.Architecture = runtime.GOARCH
	}
	if o.UserAgent == "" {
		o.UserAgent = "neargate"
	}
	s := &Session{opts: o, tokens: map[string]string{}}
	s.client = &http.Client{Transport: &http.Transport{
		DialContext:           s.dial,
		TLSClientConfig:       &tls.Config{RootCAs: o.Roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:   s.timeout(dialTimeout),
		ResponseHeaderTimeout: s.timeout(responseTimeout),
		MaxIdleConnsPerHost:   4,
		IdleConnTimeout:       10 * time.Second,
		DisableCompression:    true,
		ForceAttemptHTTP2:     false,
	}}
	return s
}

// Close drops the connections.
func (s *Session) Close() { s.client.CloseIdleConnections() }

// Client returns the session's HTTP client, for other calls that the platform makes on the task's behalf.
func (s *Session) Client() *http.Client { return s.client }

func (s *Session) timeout(d time.Duration) time.Duration {
	return max(s.opts.Clock.Scale(d), shortestTimeout)
}

func (s *Session) dial(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout(dialTimeout))
	defer cancel()
	return s.opts.Dial(ctx, network, address)
}

// Error is a failure as AWS reports it.
type Error struct {
	Name string // CannotPullContainerError or ResourceInitializationError
	Text string
	Err  error
}

// The names.
const (
	CannotPull   = "CannotPullContainerError"
	ResourceInit = "ResourceInitializationError"
)

// Error returns name and text, as they appear in a task's stoppedReason.
func (e *Error) Error() string { return e.Name + ": " + e.Text }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Pulled is an image that is ready to run.
type Pulled struct {
	container.Image
	// ResolvedDigest is what the reference pointed to: an index's digest when there is one. ECS shows it as imageDigest.
	ResolvedDigest string
}

// Pull makes the image ready. The error is an [*Error], or ctx's.
func (s *Session) Pull(ctx context.Context, reference string) (Pulled, error) {
	ref, err := Parse(reference)
	if err != nil {
		return Pulled{}, &Error{Name: CannotPull, Text: "invalid reference format: " + err.Error(), Err: err}
	}
	if err := s.authorize(ctx, ref); err != nil {
		return Pulled{}, err
	}
	var found resolved
	err = s.retry(ctx, resolveRetries, func() (err error) {
		found, err = s.resolve(ctx, ref)
		return err
	})
	if err != nil {
		return Pulled{}, cannotPull(ctx, "pull image manifest", resolveRetries, err)
	}
	var image container.Image
	err = s.retry(ctx, refPullRetries, func() (err error) {
		image, err = s.load(ctx, ref, found)
		return err
	})
	if errors.Is(err, errPlatform) {
		return Pulled{}, cannotPull(ctx, "pull image manifest", resolveRetries, err)
	} else if err != nil {
		return Pulled{}, cannotPull(ctx, "ref pull", refPullRetries, err)
	}
	return Pulled{Image: image, ResolvedDigest: found.digest}, nil
}

func cannotPull(ctx context.Context, what string, retries int, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	text := fmt.Sprintf("%s has been retried %d time(s): %v", what, retries, err)
	return &Error{Name: CannotPull, Text: text, Err: err}
}

// load has the runtime fetch what it lacks. When it lacks nothing, the way to the layers is tried all the same.
func (s *Session) load(ctx context.Context, ref Reference, found resolved) (container.Image, error) {
	if image, err := s.opts.Runtime.Image(ctx, found.manifest.Digest); err == nil {
		return image, s.probe(ctx, ref, image.ConfigDigest)
	} else if !fault.IsNotFound(err) {
		return container.Image{}, err
	}
	if found.unsure {
		if err := s.checkPlatform(ctx, ref, found.manifest.Raw); err != nil {
			return container.Image{}, err
		}
	}
	fetched := false
	var mu sync.Mutex
	image, err := s.opts.Runtime.Import(ctx, found.manifest, func(ctx context.Context, d container.Descriptor) (io.ReadCloser, error) {
		mu.Lock()
		fetched = true
		mu.Unlock()
		return s.openBlob(ctx, ref, d.Digest, "")
	})
	if err != nil {
		return container.Image{}, err
	}
	if !fetched { // another task was quicker
		return image, s.probe(ctx, ref, image.ConfigDigest)
	}
	return image, nil
}

// probe asks for one byte of a blob.
func (s *Session) probe(ctx context.Context, ref Reference, digest string) error {
	body, err := s.openBlob(ctx, ref, digest, "bytes=0-0")
	if err != nil {
		return err
	}
	defer body.Close()
	if _, err := io.Copy(io.Discard, io.LimitReader(body, 4096)); err != nil {
		return fmt.Errorf("failed to copy: httpReadSeeker: %w", err)
	}
	return nil
}

// retry tries again after a growing pause in AWS time, except where trying again is of no use.
func (s *Session) retry(ctx context.Context, retries int, try func() error) error {
	pause := firstBackoff
	for i := 0; ; i++ {
		err := try()
		if err == nil || i == retries || ctx.Err() != nil || isFinal(err) {
			return err
		}
		if err := s.opts.Clock.Sleep(ctx, pause); err != nil {
			return err
		}
		pause = min(2*pause, longestBackoff)
	}
}

// isFinal reports whether the same request cannot succeed later: what was found is of the wrong platform.
func isFinal(err error) bool { return errors.Is(err, errPlatform) || errors.Is(err, errUnusable) }

var (
	errPlatform = errors.New("platform does not match")
	errUnusable = errors.New("image cannot be used")
)

// finalError is text for the user that matches one of the errors above.
type finalError struct {
	text string
	kind error
}

func (e *finalError) Error() string        { return e.text }
func (e *finalError) Is(target error) bool { return target == e.kind }

// requestError is how containerd words a request that got no answer: `failed to do request: Head "https://...": dial ...`.
func requestError(err error) error { return fmt.Errorf("failed to do request: %w", err) }

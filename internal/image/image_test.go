package image

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/google/go-cmp/cmp"

	"github.com/neargate/neargate/internal/clock"
	"github.com/neargate/neargate/internal/container/fake"
	"github.com/neargate/neargate/internal/container/runtimetest"
)

const (
	apiHost = "api.ecr.us-east-1.amazonaws.com"
	dkrHost = "000000000000.dkr.ecr.us-east-1.amazonaws.com"
	s3Host  = "prod-us-east-1-starport-layer-bucket.s3.us-east-1.amazonaws.com"
	hubHost = "registry-1.docker.io"
)

// cloud is ECR's API, its registry, S3 and a public registry in one server that tells them apart by host name.
type cloud struct {
	image        *runtimetest.Image
	index        []byte // served under the tag "multi"
	server       *httptest.Server
	roots        *x509.CertPool
	cut          map[string]error // hosts that cannot be dialled
	denied       bool             // ECR denies the token
	architecture string
	s3Status     int // S3 answers with this instead

	mu       sync.Mutex
	requests []string
}

func newCloud(t *testing.T) *cloud {
	image, err := runtimetest.ProbeImage(nil)
	if err != nil {
		t.Fatal(err)
	}
	c := &cloud{image: image, cut: map[string]error{}, architecture: "amd64"}
	child := func(arch, digest string, size int64) map[string]any {
		return map[string]any{"mediaType": image.Manifest.MediaType, "digest": digest, "size": size,
			"platform": map[string]string{"os": "linux", "architecture": arch}}
	}
	c.index, _ = json.Marshal(map[string]any{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": []any{
		child("s390x", runtimetest.Digest([]byte("other")), 5), child("amd64", image.Manifest.Digest, image.Manifest.Size),
	}})
	cert, roots := certificate(t)
	c.roots = roots
	c.server = httptest.NewUnstartedServer(c)
	c.server.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	c.server.StartTLS()
	t.Cleanup(c.server.Close)
	return c
}

func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		DNSNames: []string{apiHost, dkrHost, s3Host, hubHost, "auth.docker.io"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, roots
}

func (c *cloud) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, _ := net.SplitHostPort(address)
	if err := c.cut[host]; err != nil {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Addr: &net.TCPAddr{IP: net.IPv4(198, 19, 0, 10), Port: 443}, Err: err}
	}
	return (&net.Dialer{}).DialContext(ctx, network, c.server.Listener.Addr().String())
}

func (c *cloud) session(r *fake.Runtime) *Session {
	return New(Options{Runtime: r, Dial: c.dial, Clock: clock.New(1e6), Roots: c.roots, Architecture: c.architecture,
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", "")})
}

func (c *cloud) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	c.requests = append(c.requests, r.Method+" "+r.Host+r.URL.Path+" "+r.Header.Get("Range"))
	c.mu.Unlock()
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte("AWS:secret"))
	switch r.Host {
	case apiHost:
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		w.Header().Set("X-Amzn-Requestid", "req-1")
		if c.denied {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"__type":"AccessDeniedException","message":"User: u is not authorized to perform: ecr:GetAuthorizationToken"}`)
			return
		}
		fmt.Fprintf(w, `{"authorizationData":[{"authorizationToken":%q}]}`, strings.TrimPrefix(basic, "Basic "))
	case dkrHost:
		if r.Header.Get("Authorization") != basic {
			w.Header().Set("Www-Authenticate", `Basic realm="https://`+dkrHost+`/",service="ecr.amazonaws.com"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		c.registry(w, r, true)
	case hubHost:
		if r.Header.Get("Authorization") != "Bearer anonymous" {
			w.Header().Set("Www-Authenticate", `Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/web:pull"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		c.registry(w, r, false)
	case "auth.docker.io":
		if r.URL.Query().Get("scope") == "repository:library/web:pull" {
			fmt.Fprint(w, `{"token":"anonymous"}`)
		}
	case s3Host:
		if r.Header.Get("Authorization") != "" || r.URL.Query().Get("X-Amz-Signature") == "" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		if c.s3Status != 0 {
			w.WriteHeader(c.s3Status)
			return
		}
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(string(c.image.Blobs[strings.TrimPrefix(r.URL.Path, "/")])))
	}
}

func (c *cloud) registry(w http.ResponseWriter, r *http.Request, redirect bool) {
	part := strings.Split(r.URL.Path, "/")
	id := part[len(part)-1]
	switch part[len(part)-2] {
	case "manifests":
		content := map[string][]byte{"latest": c.image.Manifest.Raw, c.image.Manifest.Digest: c.image.Manifest.Raw,
			"multi": c.index, runtimetest.Digest(c.index): c.index}[id]
		if content == nil {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		w.Header().Set("Docker-Content-Digest", runtimetest.Digest(content))
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(content)
	case "blobs":
		if redirect {
			http.Redirect(w, r, "https://"+s3Host+"/"+id+"?X-Amz-Signature=abc", http.StatusTemporaryRedirect)
			return
		}
		_, _ = w.Write(c.image.Blobs[id])
	}
}

func (c *cloud) took() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := c.requests
	c.requests = nil
	return out
}

func TestPull(t *testing.T) {
	for _, test := range []struct{ ref, digest string }{
		{ref: dkrHost + "/web"},
		{ref: dkrHost + "/team/web:latest"},
		{ref: dkrHost + "/web:multi", digest: "index"},
		{ref: "web"},
	} {
		t.Run(test.ref, func(t *testing.T) {
			c := newCloud(t)
			if strings.HasSuffix(test.ref, dkrHost+"/web@") {
				test.ref += c.image.Manifest.Digest
			}
			s := c.session(fake.New(nil))
			defer s.Close()
			pulled, err := s.Pull(t.Context(), test.ref)
			if err != nil {
				t.Fatal(err)
			}
			want := c.image.Manifest.Digest
			if test.digest == "index" {
				want = runtimetest.Digest(c.index)
			}
			if pulled.ResolvedDigest != want || pulled.Digest != c.image.Manifest.Digest || len(pulled.Entrypoint) != 1 {
				t.Errorf("pulled %+v", pulled)
			}
		})
	}
}

// An image that is here is not downloaded again, and yet the whole way is taken.
func TestPullPresentImage(t *testing.T) {
	c := newCloud(t)
	r := fake.New(nil)
	first := c.session(r)
	if _, err := first.Pull(t.Context(), dkrHost+"/web"); err != nil {
		t.Fatal(err)
	}
	c.took()
	second := c.session(r)
	image, err := second.Pull(t.Context(), dkrHost+"/web")
	if err != nil {
		t.Fatal(err)
	}
	blob := image.ConfigDigest
	want := []string{
		"POST " + apiHost + "/ ", "HEAD " + dkrHost + "/v2/web/manifests/latest ",
		"GET " + dkrHost + "/v2/web/blobs/" + blob + " bytes=0-0", "GET " + s3Host + "/" + blob + " bytes=0-0",
	}
	if diff := cmp.Diff(want, c.took()); diff != "" {
		t.Error(diff)
	}
	c.cut[s3Host] = os.ErrDeadlineExceeded
	third := c.session(r)
	if _, err := third.Pull(t.Context(), dkrHost+"/web"); err == nil {
		t.Error("the image was taken although the way to S3 is cut")
	}
}

func TestPullFailures(t *testing.T) {
	const lead = "CannotPullContainerError: "
	for _, test := range []struct {
		name string
		ref  string
		set  func(c *cloud)
		want string
	}{
		{name: "missing tag", ref: dkrHost + "/web:nope",
			want: lead + "pull image manifest has been retried 7 time(s): failed to resolve ref " + dkrHost + "/web:nope: " + dkrHost + "/web:nope: not found"},
		{name: "no route to the registry", ref: "web", set: func(c *cloud) { c.cut[hubHost] = os.ErrDeadlineExceeded },
			want: lead + `pull image manifest has been retried 7 time(s): failed to resolve ref docker.io/library/web:latest: failed to do request: Head "https://registry-1.docker.io/v2/library/web/manifests/latest": dial tcp 198.19.0.10:443: i/o timeout`},
		{name: "no route to ECR", ref: dkrHost + "/web", set: func(c *cloud) { c.cut[apiHost] = os.ErrDeadlineExceeded },
			want: "ResourceInitializationError: unable to pull secrets or registry auth: The task cannot pull registry auth from Amazon ECR: There is a connection issue between the task and Amazon ECR. Check your task network configuration. operation error ECR: GetAuthorizationToken, exceeded maximum number of attempts, 3, https response error StatusCode: 0, RequestID: , request send failed, Post \"https://api.ecr.us-east-1.amazonaws.com/\": dial tcp 198.19.0.10:443: i/o timeout"},
		{name: "denied", ref: dkrHost + "/web", set: func(c *cloud) { c.denied = true },
			want: "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: unable to retrieve ecr registry auth: service call has been retried 1 time(s): AccessDeniedException: User: u is not authorized to perform: ecr:GetAuthorizationToken status code: 400, request id: req-1"},
		{name: "no route to S3", ref: dkrHost + "/web", set: func(c *cloud) { c.cut[s3Host] = os.ErrDeadlineExceeded },
			want: lead + `ref pull has been retried 1 time(s): failed to copy: httpReadSeeker: failed open: failed to do request: Get "https://` + s3Host + "/CONFIG" + `": dial tcp 198.19.0.10:443: i/o timeout`},
		{name: "S3 refuses", ref: dkrHost + "/web", set: func(c *cloud) { c.s3Status = http.StatusForbidden },
			want: lead + "ref pull has been retried 1 time(s): failed to copy: httpReadSeeker: failed open: unexpected status code https://" + s3Host + "/CONFIG: 403 Forbidden"},
		{name: "wrong platform", ref: dkrHost + "/web:multi", set: func(c *cloud) { c.index = []byte(strings.ReplaceAll(string(c.index), "amd64", "arm64")) },
			want: lead + "pull image manifest has been retried 7 time(s): image Manifest does not contain descriptor matching platform 'linux/amd64'"},
		{name: "wrong platform without an index", ref: dkrHost + "/web", set: func(c *cloud) { c.architecture = "s390x" },
			want: lead + "pull image manifest has been retried 7 time(s): image Manifest does not contain descriptor matching platform 'linux/s390x'"},
		{name: "bad reference", ref: "Not A Reference", want: lead + "invalid reference format: "},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newCloud(t)
			if test.set != nil {
				test.set(c)
			}
			var manifest struct{ Config struct{ Digest string } }
			_ = json.Unmarshal(c.image.Manifest.Raw, &manifest)
			s := c.session(fake.New(nil))
			_, err := s.Pull(t.Context(), test.ref)
			if err == nil {
				t.Fatal("no error")
			}
			got := err.Error()
			if strings.Contains(test.want, "CONFIG") { // which blob comes first is not said
				for d := range c.image.Blobs {
					got = strings.ReplaceAll(got, "/"+d, "/CONFIG")
				}
			}
			if !strings.HasPrefix(got, test.want) || (test.name != "bad reference" && got != test.want) {
				t.Errorf("error is\n%s\nwant\n%s", got, test.want)
			}
			if typed, ok := errors.AsType[*Error](err); !ok || !strings.HasPrefix(got, typed.Name) {
				t.Errorf("error has type %T", err)
			}
		})
	}
}

func TestPullWithoutRole(t *testing.T) {
	c := newCloud(t)
	s := New(Options{Runtime: fake.New(nil), Dial: c.dial, Clock: clock.New(1e6), Roots: c.roots, Architecture: "amd64"})
	_, err := s.Pull(t.Context(), dkrHost+"/web")
	if err == nil || !strings.Contains(err.Error(), "failed with status code [manifests latest]: 401 Unauthorized") {
		t.Errorf("error is %v", err)
	}
}

func TestPullStopped(t *testing.T) {
	c := newCloud(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.session(fake.New(nil)).Pull(ctx, dkrHost+"/web"); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
}

func TestParse(t *testing.T) {
	for _, test := range []struct{ in, host, repo, canonical, account string }{
		{"nginx", "registry-1.docker.io", "library/nginx", "docker.io/library/nginx:latest", ""},
		{"team/app:v1", "registry-1.docker.io", "team/app", "docker.io/team/app:v1", ""},
		{"public.ecr.aws/x/y:z", "public.ecr.aws", "x/y", "public.ecr.aws/x/y:z", ""},
		{dkrHost + "/a/b", dkrHost, "a/b", dkrHost + "/a/b:latest", "000000000000"},
	} {
		r, err := Parse(test.in)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{test.host, test.repo, test.canonical, test.account}, []string{r.Host, r.Repository, r.Canonical, r.ECRAccount}); diff != "" {
			t.Error(diff)
		}
	}
}

func FuzzChallenge(f *testing.F) {
	f.Add(`Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/web:pull"`)
	f.Add(`Bearer realm=x, service`)
	f.Fuzz(func(t *testing.T, text string) { challengeParams(text) })
}
